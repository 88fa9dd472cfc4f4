import Core
import Learners

#if canImport(Glibc)
    import Glibc
#endif

/// Shows progress on standard error: a bar that redraws itself on a terminal, a line every few seconds elsewhere.
final class ProgressDisplay {
    private let quiet: Bool
    private let terminal = isatty(2) == 1
    private var lastShown = monotonicSeconds()
    private static let secondsBetweenLines = 5.0
    private static let secondsBetweenRedraws = 0.1

    init(quiet: Bool) { self.quiet = quiet }

    /// A handler that shows reports and answers stop after Ctrl-C.
    var handler: ProgressHandler {
        { report in
            self.show(report)
            return Interruption.flag.decision
        }
    }

    private func show(_ report: ProgressReport) {
        guard !quiet else { return }
        let now = monotonicSeconds()
        let finished = report.total == report.completed
        let wait = terminal ? Self.secondsBetweenRedraws : Self.secondsBetweenLines
        guard now - lastShown >= wait || (finished && terminal) else { return }
        lastShown = now
        var parts = ["\(report.phase) \(report.completed)\(report.total.map { "/\($0)" } ?? "") \(report.unit)"]
        let rate = Double(report.completed) / max(report.elapsedSeconds, 1e-9)
        if report.completed > 0 { parts.append("\(fixed(rate, rate < 10 ? 1 : 0))/s") }
        for figure in report.figures { parts.append("\(figure.name) \(fixed(figure.value, 4))") }
        if let total = report.total, report.completed > 0, !finished {
            parts.append("\(duration(Double(total - report.completed) / rate)) left")
        }
        parts.append(byteSize(MemoryMeter.anonymousBytes()))
        if terminal {
            let bar = report.total.map { Self.bar(Double(report.completed) / Double(max($0, 1))) } ?? ""
            writeToStandardError("\r\u{1B}[K" + bar + parts.joined(separator: "  "))
            if finished { Self.clearLine() }
        } else {
            writeToStandardError("apus: " + parts.joined(separator: ", ") + "\n")
        }
    }

    private static func bar(_ share: Double) -> String {
        let filled = Int(20 * min(max(share, 0), 1))
        return "[" + String(repeating: "█", count: filled) + String(repeating: "·", count: 20 - filled) + "] "
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    static func clearLine() {
        if isatty(2) == 1 { writeToStandardError("\r\u{1B}[K") }
    }
}
