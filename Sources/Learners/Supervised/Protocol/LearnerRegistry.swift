import Core
import FoundationEssentials
import Tables

/// All kinds of learners, by name: what `train`, `compare`, `tune` and model files choose from.
public enum LearnerRegistry {
    /// One line each.
    public static let learners: [any SupervisedLearner.Type] = [
        LinearRegression.self,
        LogisticRegression.self,
        SupportVectorMachine.self,
        NaiveBayes.self,
        NearestNeighbours.self,
        DecisionTree.self,
        RandomForest.self,
        GradientBoosting.self,
        NetworkLearner.self,
        WideDeepLearner.self,
        CNNLearner.self,
        RNNLearner.self,
    ]

    /// The learner of a kind. Throws ``ParameterError`` for a word that names none.
    public static func learner(_ kind: String) throws -> any SupervisedLearner.Type {
        guard let learner = learners.first(where: { $0.kind == kind }) else {
            throw ParameterError(
                "learner", "`\(kind)` is none of \(learners.map { $0.kind }.joined(separator: ", "))")
        }
        return learner
    }

    /// A learner from a word with optional parameters in parentheses: `logistic`, `logistic(l2=0.1, l1=1)`.
    public static func parse(_ text: String) throws -> any SupervisedLearner {
        guard let open = text.firstIndex(of: "(") else { return try learner(text).init() }
        guard text.last == ")" else { throw ParameterError("learner", "`\(text)` lacks its closing parenthesis") }
        let kind = String(text[..<open])
        var changes: [String: ParameterValue] = [:]
        for pair in text[text.index(after: open)...].dropLast().split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { trimmed($0) }
            guard parts.count == 2 else {
                throw ParameterError("learner", "`\(text)`: expects NAME=VALUE between the parentheses")
            }
            changes[parts[0]] = ParameterValue(parts[1])
        }
        return try learner(kind).init().setting(changes)
    }

    /// Several learners: a list separated by commas, those within parentheses not counted.
    public static func parseList(_ text: String) throws -> [any SupervisedLearner] {
        var (parts, depth) = ([""], 0)
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return try parts.map { try parse(trimmed($0[...])) }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
