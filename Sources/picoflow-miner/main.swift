print("picoflow-miner")
