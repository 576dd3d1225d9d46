print("picoflow-loader")
