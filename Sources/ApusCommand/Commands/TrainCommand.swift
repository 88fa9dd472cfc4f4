import ArgumentParser

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a model from a file.",
        subcommands: [TrainALSCommand.self, TrainKMeansCommand.self, TrainDensityCommand.self])
}
