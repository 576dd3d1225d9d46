import EvaluatorStage

EvaluatorMain.run()
