import MinerStage
import StageKit

StageMain.run(.miner, fingerprint: { try MinerStage.fingerprint() }, { try MinerStage.run($0) })
