import LoaderStage
import StageKit

StageMain.run(.loader, fingerprint: LoaderStage.fingerprint, LoaderStage.run)
