import Core

/// The networks that read what a person did in its order.
public enum SequenceArchitecture: String, Codable, Sendable, CaseIterable {
    /// Causal transformer blocks over items and positions (Kang and McAuley, "Self-attentive sequential
    /// recommendation", ICDM 2018).
    case sasrec
    /// Gated recurrent units (Hidasi, Karatzoglou, Baltrunas and Tikk, "Session-based recommendations with recurrent
    /// neural networks", ICLR 2016).
    case gru
}

/// Against which items the next one is to stand out.
public enum SequenceLoss: String, Codable, Sendable, CaseIterable {
    /// All of them: softmax cross-entropy over the catalogue.
    case full
    /// The next items of the whole batch and others drawn by their popularity, each corrected by how often it is drawn.
    case sampled
    /// The same, by Bayesian personalized ranking: the next item is to be above each of the others, by the mean over
    /// them.
    case bpr
}

/// Parameters of a network for sequences.
public struct SequenceOptions: Codable, Sendable, Equatable {
    public var architecture = SequenceArchitecture.sasrec
    /// Dimension of items and states, 1 … 2,048.
    public var factors = 64
    /// Latest items that are read, 1 … 4,096.
    public var length = 50
    /// Transformer blocks, or recurrent layers, 1 … 64.
    public var layers = 2
    /// Heads of the attention; a divisor of `factors`.
    public var heads = 2
    /// Units of the dense layers within the blocks, or of the recurrent layers; nil for four times, or once, `factors`.
    public var hidden: Int?
    /// Share of the values that each step leaves out.
    public var dropout: Float = 0.2
    public var loss = SequenceLoss.full
    /// Items drawn for a batch, besides its own, where the loss does not take all.
    public var negatives = 1024
    /// Part of the next item's probability that is spread over all.
    public var labelSmoothing: Float = 0
    /// Passes over the sequences.
    public var epochs = 30
    /// Sequences of a step.
    public var batchSize = 128
    public var learningRate: Float = 0.001
    /// Decoupled weight decay.
    public var weightDecay: Float = 0
    /// Largest norm of a gradient; nil for no limit.
    public var clipNorm: Float?
    public var schedule = LearningRateSchedule.constant
    public var warmUpSteps = 0
    /// Epochs without a better NDCG@10 of everyone's last item after which the training stops and goes back to the
    /// best; nil to train all epochs on everything.
    public var patience: Int?
    /// Seed of weights, order and dropout.
    public var seed: UInt64 = 42

    public init(_ architecture: SequenceArchitecture = .sasrec) {
        self.architecture = architecture
        if architecture == .gru { layers = 1 }
    }

    /// Units in use.
    public var effectiveHidden: Int { hidden ?? (architecture == .sasrec ? 4 * factors : factors) }

    /// The options of the engine.
    var training: NetworkTrainingOptions {
        var options = NetworkTrainingOptions()
        options.epochs = epochs
        options.batchSize = batchSize
        options.optimizer = weightDecay > 0 ? .adamw : .adam
        options.weightDecay = weightDecay
        options.learningRate = learningRate
        options.clipNorm = clipNorm
        options.schedule = schedule
        options.warmUpSteps = warmUpSteps
        options.labelSmoothing = labelSmoothing
        options.patience = patience
        options.seed = seed
        return options
    }

    /// The layers between the items' vectors and the states that items are compared with: length × factors, both.
    public var body: NetworkArchitecture {
        var layers: [LayerSpecification] = []
        func drop() { if dropout > 0 { layers.append(.dropout(probability: dropout)) } }
        switch architecture {
        case .sasrec:
            layers.append(.sequence(.positions(learned: true)))
            drop()
            for _ in 0..<self.layers {
                layers.append(
                    .sequence(
                        .transformer(
                            TransformerBlock(
                                heads: heads, hidden: effectiveHidden, activation: .gelu, dropout: dropout,
                                normFirst: true, causal: true))))
            }
            layers.append(.layerNorm(epsilon: 1e-5))
        case .gru:
            drop()
            for _ in 0..<self.layers {
                layers.append(.sequence(.recurrent(cell: .gru, units: effectiveHidden)))
            }
            layers.append(.dense(units: factors, bias: true))
        }
        return NetworkArchitecture(input: LayerShape(rows: length, columns: factors), layers: layers)
    }

    /// The body with its parameters, named `body.0.…`.
    func network() throws(ParameterError) -> ResolvedNetwork {
        let body = body
        let (layers, output) = try ResolvedLayer.resolve(
            body.layers, input: body.input, prefix: "body.", identifiers: 0)
        return ResolvedNetwork(input: body.input, identifiers: 0, layers: layers, output: output)
    }

    /// All parameters: the items' vectors first, which are read and compared with. Throws ``ParameterError``.
    public func parameters(items: Int) throws(ParameterError) -> [ParameterDescription] {
        [ParameterDescription(name: "items.weight", shape: [items, factors], start: .normal(deviation: 0.02))]
            + (try network().parameters)
    }

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (1...2048).contains(factors) else { throw ParameterError("factors", "\(factors) is outside 1 … 2048") }
        guard (1...4096).contains(length) else { throw ParameterError("length", "\(length) is outside 1 … 4096") }
        guard (1...64).contains(layers) else { throw ParameterError("layers", "\(layers) is outside 1 … 64") }
        guard architecture != .sasrec || (heads >= 1 && factors % heads == 0) else {
            throw ParameterError("heads", "\(heads) heads don't divide \(factors) factors")
        }
        guard (1...1 << 16).contains(effectiveHidden) else {
            throw ParameterError("hidden", "\(effectiveHidden) is outside 1 … 65536")
        }
        guard dropout >= 0, dropout < 1 else {
            throw ParameterError("dropout", "must be at least 0 and below 1, not \(dropout)")
        }
        guard (1...1 << 20).contains(negatives) else {
            throw ParameterError("negatives", "\(negatives) is outside 1 … 1048576")
        }
        guard loss == .full || labelSmoothing == 0 else {
            throw ParameterError("labelSmoothing", "goes with the full loss only")
        }
        guard weightDecay >= 0, weightDecay.isFinite else {
            throw ParameterError("weightDecay", "must be 0 or more, not \(weightDecay)")
        }
        try training.validate()
    }
}
