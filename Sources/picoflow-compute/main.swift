import ComputeStage
import StageKit

StageMain.run(.compute, fingerprint: ComputeStage.fingerprint, ComputeStage.run)
