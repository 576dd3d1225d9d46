import MinerStage
import StageKit

StageMain.run(.miner, fingerprint: MinerStage.fingerprint, MinerStage.run)
