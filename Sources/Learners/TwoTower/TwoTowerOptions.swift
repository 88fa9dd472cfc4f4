import Core

/// Parameters of a retrieval by two towers: a network makes a vector of what a person has, another of an item, and their
/// product is the score.
public struct TwoTowerOptions: Codable, Sendable, Equatable {
    /// Numbers of the vectors whose product is the score.
    public var factors = 64
    /// Numbers of the vectors that items begin with, in either tower.
    public var embedding = 64
    /// Units of the layers between, in both towers.
    public var hidden = [128]
    /// Items of a person that a step looks at, at most; more are drawn from.
    public var history = 30
    /// Passes over the interactions.
    public var epochs = 20
    /// Interactions of a step; each is told apart from the items of the others.
    public var batchSize = 512
    public var learningRate: Float = 0.002
    /// Products are divided by it.
    public var temperature: Float = 1
    /// nil for softmax.
    public var loss: RetrievalLoss?
    /// Share of the units that each step leaves out.
    public var dropout: Float = 0.1
    /// Seed of everything random.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        func require(_ holds: Bool, _ name: String, _ reason: String) throws(ParameterError) {
            if !holds { throw ParameterError(name, reason) }
        }
        try require((1...2048).contains(factors), "factors", "\(factors) is outside 1 … 2048")
        try require((1...2048).contains(embedding), "embedding", "\(embedding) is outside 1 … 2048")
        try require(hidden.allSatisfy { (1...1 << 16).contains($0) }, "hidden", "units must be from 1 to 65536")
        try require((1...4096).contains(history), "history", "\(history) is outside 1 … 4096")
        try require(epochs >= 1, "epochs", "\(epochs) is below 1")
        try require((2...1 << 16).contains(batchSize), "batchSize", "\(batchSize) is outside 2 … 65536")
        try require(
            learningRate > 0 && learningRate.isFinite, "learningRate", "\(learningRate) is not a number above 0")
        try require(temperature > 0 && temperature.isFinite, "temperature", "\(temperature) is not a number above 0")
        try require(dropout >= 0 && dropout < 1, "dropout", "must be at least 0 and below 1, not \(dropout)")
    }

    /// Both towers side by side, for people of whom up to so many items are looked at.
    func architecture(items: Int, history: Int) -> NetworkArchitecture {
        func tower(_ table: EmbeddingTable) -> [LayerSpecification] {
            var layers: [LayerSpecification] = [
                .embedding(tables: [table], units: embedding, arrangement: .replace)
            ]
            for units in hidden {
                layers.append(.dense(units: units, bias: true))
                layers.append(.activation(function: .relu))
                if dropout > 0 { layers.append(.dropout(probability: dropout)) }
            }
            layers.append(.dense(units: factors, bias: true))
            return layers
        }
        return NetworkArchitecture(
            input: LayerShape(columns: 0),
            layers: [
                .concatenation(branches: [
                    tower(EmbeddingTable(rows: items, column: 0, count: history, averages: true)),
                    tower(EmbeddingTable(rows: items, column: history)),
                ])
            ], identifiers: history + 1)
    }
}
