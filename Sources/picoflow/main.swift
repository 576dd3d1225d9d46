print("picoflow")
