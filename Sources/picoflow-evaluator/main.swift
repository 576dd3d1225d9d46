print("picoflow-evaluator")
