import ArgumentParser

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a model from a file.",
        subcommands: [
            TrainALSCommand.self, TrainNeighborsCommand.self, TrainEASECommand.self, TrainBPRCommand.self,
            TrainWARPCommand.self, TrainTwoTowerCommand.self, TrainContentCommand.self, TrainPopularCommand.self,
            TrainHybridCommand.self,
            TrainSequenceCommand.self,
            TrainLinearCommand.self, TrainLogisticCommand.self, TrainSVMCommand.self,
            TrainNaiveBayesCommand.self, TrainNeighboursCommand.self, TrainNetCommand.self, TrainWideDeepCommand.self,
            TrainRNNCommand.self,
            TrainCNNCommand.self,
            TrainKMeansCommand.self,
            TrainDensityCommand.self,
            TrainTreeCommand.self, TrainForestCommand.self, TrainBoostingCommand.self, TrainIsolationForestCommand.self,
        ])
}
