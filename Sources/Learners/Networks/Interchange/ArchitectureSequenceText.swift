import Compute

/// Layers of sequences, and products of vectors, as a text.
extension ArchitectureText {
    /// Words for them.
    static let sequenceWords = ["positions", "attention", "transformer", "rnn", "gru", "lstm", "interaction"]

    /// The layer of a word in ``sequenceWords``, from what stands behind its colon; a reason where that is wrong.
    static func sequenceLayer(_ word: String, _ value: Substring) -> (layer: LayerSpecification?, reason: String) {
        var words = value.split(separator: " ")[...]
        func number() -> Int? { words.popFirst().flatMap { Int($0) }.flatMap { $0 >= 1 ? $0 : nil } }
        switch word {
        case "positions":
            let reason = near("expects `learned` or `waves`", value, ["learned", "waves"])
            return (
                ["learned", "waves"].contains(value) ? .sequence(.positions(learned: value == "learned")) : nil, reason
            )
        case "attention":
            let reason = "expects a number of heads, such as `4` or `4 causal`, not `\(value)`"
            guard let heads = number(), words.isEmpty || words == ["causal"] else { return (nil, reason) }
            return (.sequence(.attention(heads: heads, causal: !words.isEmpty)), reason)
        case "transformer": return transformer(value)
        case "interaction":
            let reason = "expects the columns of each vector, such as `16`, not `\(value)`"
            guard let units = number(), words.isEmpty else { return (nil, reason) }
            return (.interaction(units: units), reason)
        default:
            let reason = "expects a number of units, not `\(value)`"
            guard let units = number(), words.isEmpty else { return (nil, reason) }
            let cell: RecurrentCell = word == "gru" ? .gru : word == "lstm" ? .lstm : .simple
            return (.sequence(.recurrent(cell: cell, units: units)), reason)
        }
    }

    /// `4 heads 128 hidden causal dropout 0.1 activation gelu norm-last`: all but the two numbers may be absent.
    private static func transformer(_ value: Substring) -> (LayerSpecification?, String) {
        var words = value.split(separator: " ")[...]
        let example = "expects heads and hidden units, such as `4 heads 128 hidden causal dropout 0.1`, not `\(value)`"
        var (heads, hidden): (Int?, Int?)
        var block = TransformerBlock(heads: 1, hidden: 1, causal: false)
        while let word = words.popFirst() {
            switch word {
            case "causal": block.causal = true
            case "norm-last": block.normFirst = false
            case "dropout":
                guard let probability = words.popFirst().flatMap({ Float($0) }), probability >= 0, probability < 1
                else {
                    return (nil, "dropout expects a probability, at least 0 and below 1")
                }
                block.dropout = probability
            case "activation":
                let name = words.popFirst() ?? ""
                guard let function = ActivationName(rawValue: String(name)) else {
                    let names = ActivationName.allCases.map(\.rawValue)
                    return (nil, near("`\(name)` is none of \(names.joined(separator: ", "))", name, names))
                }
                block.activation = function
            default:
                guard let number = Int(word) else {
                    return (nil, near(example, word, ["causal", "dropout", "activation", "norm-last"]))
                }
                switch words.popFirst() {
                case "heads" where number >= 1: heads = number
                case "hidden" where number >= 1: hidden = number
                default: return (nil, example)
                }
            }
        }
        guard let heads, let hidden else { return (nil, example) }
        (block.heads, block.hidden) = (heads, hidden)
        return (.sequence(.transformer(block)), example)
    }

    /// A reason with the nearest of some words, where one is near.
    private static func near(_ reason: String, _ word: Substring, _ words: [String]) -> String {
        reason + (nearest(String(word), among: words).map { "; did you mean `\($0)`?" } ?? "")
    }
}
