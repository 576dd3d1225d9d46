print("picoflow-bank")
