print("picoflow-compute")
