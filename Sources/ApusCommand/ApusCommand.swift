import ArgumentParser
import Learners

/// The program `apus`.
struct ApusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Trains, evaluates and questions marketing models on any device.",
        discussion: """
            Results go to standard output, everything else to standard error. With --json, standard output is one \
            JSON object. Every flag has an environment variable: APUS_ and the flag's name in capitals, with \
            underscores (APUS_DEVICE for --device); a flag on the command line wins.

            Exit codes: 0 done, 1 failure, 64 usage, 65 bad data, 69 device not available, 130 interrupted.
            """,
        version: ApusVersion.current,
        subcommands: [
            DevicesCommand.self, DoctorCommand.self, TuneKernelsCommand.self, SynthCommand.self, ValidateCommand.self,
            PrepareCommand.self, JoinCommand.self, PlotCommand.self,
            TrainCommand.self, ResumeCommand.self, FoldInCommand.self, EvaluateCommand.self, RecommendCommand.self,
            PredictCommand.self, SimilarCommand.self, IndexCommand.self, SegmentCommand.self,
            ChooseClustersCommand.self,
            LookalikeCommand.self, EmbedCommand.self, InspectCommand.self, CompareCommand.self, TuneCommand.self,
            ExplainCommand.self,
            ReportCommand.self, QuantizeCommand.self, PruneCommand.self, ExportCommand.self,
            ExplainArchitectureCommand.self, BenchCommand.self,
        ])
}

@main
enum Program {
    static func main() {
        Interruption.install()
        let arguments = CompareCommand.route(Array(CommandLine.arguments.dropFirst()))
        do {
            let expanded = try EnvironmentDefaults.expand(arguments, for: ApusCommand.self)
            var command = try ApusCommand.parseAsRoot(expanded)
            try command.run()
            Output.finish()
        } catch {
            Failure.exit(error)
        }
    }
}
