import BankStage
import StageKit

StageMain.run(.bank, fingerprint: BankStage.fingerprint, BankStage.run)
