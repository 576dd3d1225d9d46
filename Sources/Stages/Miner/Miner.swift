// Miner
