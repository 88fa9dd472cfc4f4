import ArgumentParser

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a model from a file.",
        subcommands: [
            TrainALSCommand.self, TrainLinearCommand.self, TrainLogisticCommand.self, TrainSVMCommand.self,
            TrainNaiveBayesCommand.self, TrainNeighboursCommand.self, TrainKMeansCommand.self,
            TrainTreeCommand.self, TrainForestCommand.self, TrainBoostingCommand.self, TrainIsolationForestCommand.self,
        ])
}
