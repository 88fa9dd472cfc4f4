import ArgumentParser
import Charts
import Core
import Devices
import Learners
import Tables

/// `apus report`
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write an HTML page about a model of a table: how good it is and what it goes by.",
        discussion: """
            The page needs no network: pictures are in it. On the table that the model was trained with, only the rows \
            that it has not learned from are judged.
            """)

    @Option(help: "The model file.")
    var model: String
    @OptionGroup var data: ModelDataFlags
    @Option(help: "What decisions are worth, tp=40,fp=-2: adds the profit along the threshold.")
    var value: String?
    @Option(help: "Columns to draw average predictions along.")
    var curves = 6
    @Option(help: "Heading of the page (default: learner and target).")
    var title: String?
    @Option(help: "The HTML file to write.")
    var output: String
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard data.data != nil else { throw ValidationError("name the table with --data") }
        guard curves >= 0 else { throw ValidationError("--curves must be 0 or more") }
    }

    func run() throws {
        let started = monotonicSeconds()
        try OutputFolder.check(output)
        let decision = try value.map { try DecisionValue($0) }
        let model = try TableModel(path: self.model)
        if decision != nil, model.task.kind != .binary {
            throw ParameterError("value", "decisions by a threshold need a target of two classes")
        }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let table = try data.read(for: model, global, progress)
        let whole = try model.supervised(table)
        let judged = try JudgedRows(model, whole, context)
        if judged.hasLearnedFrom {
            global.remark("warning: the model has learned from these rows; the figures are too good")
        }
        let page = ModelReport(
            model: model, judged: judged, decision: decision ?? model.provenance.value,
            title: title ?? "\(type(of: model.learner).title): \(model.roles.target)", curves: curves, context: context)
        let text = try page.rendered()
        ProgressDisplay.clearLine()
        let file = try AtomicFile(path: output)
        try file.write(text)
        try file.commit()
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("rows", .integer(judged.data.rows)),
                    ("device", .string(device.identity.name)), ("bytes", .integer(text.utf8.count)),
                    ("seconds", .object([("total", .number(monotonicSeconds() - started))])),
                ]))
        } else {
            Output.line("\(output): \(judged.sentence), \(byteSize(text.utf8.count))")
        }
    }
}
