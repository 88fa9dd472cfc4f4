import Compute
import Core
import Tables

/// A model's network made smaller, with what that did to its predictions.
public struct CompressedModel: Sendable {
    public let model: TableModel
    /// Figures of the model as it was, on the rows that judge, and of the new one.
    public let before: SupervisedEvaluation
    public let after: SupervisedEvaluation
    /// Bytes that the parameters take.
    public let bytes: (before: Int, after: Int)
    /// Seconds of predicting the rows that judge, the better of three.
    public let seconds: (before: Double, after: Double)
    /// The share of the weights of dense layers that are 0.
    public let sparsity: Double
    /// Rows that judge, and rows that calibrated or trained.
    public let rows: (judged: Int, used: Int)
    /// Losses of the epochs that trained on, if any.
    public let history: NetworkHistory?
}

/// Makes the network of a model of a table smaller.
public struct ModelCompression {
    private let model: TableModel
    private let predictor: NetworkPredictor
    private let judging: (data: SupervisedTable, features: Features)
    private let using: (data: SupervisedTable, features: Features)
    private let context: LearningContext

    /// - Parameter data: a table with the target. When the model was trained with it, the rows held out then judge and
    ///   the others calibrate or train; else a share of 20 % judges.
    public init(_ model: TableModel, _ data: SupervisedTable, context: LearningContext) throws {
        guard let predictor = model.pipeline.predictor as? NetworkPredictor else {
            throw DataError("the model holds no network, but a \(type(of: model.learner).title)")
        }
        guard predictor.quantized == nil else { throw DataError("the network is in 8 bits already") }
        self.model = model
        self.predictor = predictor
        self.context = context
        var (rows, isHeldOut) = try model.rowsToJudge(data)
        if !isHeldOut {
            rows = try data.holdOut(model.provenance.split, share: 0.2, seed: model.provenance.seed).test
        }
        let judges = Set(rows)
        let others = (0..<data.rows).filter { !judges.contains($0) }
        guard !rows.isEmpty, !others.isEmpty else { throw DataError("there are too few rows to judge the network by") }
        func part(_ rows: [Int]) throws -> (data: SupervisedTable, features: Features) {
            let part = data.selecting(rows: rows)
            return (part, try model.pipeline.recipe.apply(part.table))
        }
        judging = try part(rows)
        using = try part(others)
    }

    /// Rows that steps of an 8-bit network are found on.
    private static let calibrationRows = 8192

    /// The model in 8 bits.
    public func quantized() throws -> CompressedModel {
        let count = using.features.rows
        let step = max(count / Self.calibrationRows, 1)
        let sample = using.features.selecting(rows: Array(stride(from: 0, to: count, by: step)))
        let inputs = predictor.settings.inputs
        let quantized = try NetworkQuantizer.quantize(
            predictor.settings.architecture, weights: predictor.weights,
            features: predictor.numbers(sample), identifiers: inputs?.identifiers(sample),
            stream: context.stream)
        let changed = predictor.with(quantized: quantized)
        return try judged(changed, bytes: quantized.byteCount(predictor.weights), used: sample.rows)
    }

    /// The model without its smallest weights, trained on with those that stay.
    ///
    /// - Parameters:
    ///   - sparsity: the share of each dense layer's weights that goes.
    ///   - epochs: passes over the rows that follow; 0 for none.
    ///   - learningRate: nil for a tenth of the model's.
    public func pruned(sparsity: Double, epochs: Int, learningRate: Float? = nil) throws -> CompressedModel {
        let pruning = try NetworkPruning(predictor.weights, sparsity: sparsity)
        var changed = predictor.with(weights: pruning.applied(to: predictor.weights))
        if epochs > 0 {
            guard var learner = model.learner as? any NetworkConfiguration else {
                throw DataError("the model holds no network")
            }
            learner.epochs = epochs
            learner.learningRate = learningRate ?? learner.commonOptions.effectiveLearningRate / 10
            learner.schedule = .constant
            learner.warmUpSteps = 0
            learner.patience = 0
            learner.validation = 0
            changed = try refined(learner, changed, pruning.mask)
        }
        return try judged(
            changed, bytes: predictor.weights.byteCount, used: epochs > 0 ? using.features.rows : 0,
            history: epochs > 0 ? changed.settings.history : nil)
    }

    private func refined(
        _ learner: some NetworkConfiguration, _ predictor: NetworkPredictor, _ mask: NetworkWeights
    ) throws -> NetworkPredictor {
        try learner.validate()
        let training = TrainingSet(
            features: using.features, task: model.task, target: using.data.target, weights: using.data.weights)
        return try learner.train(
            predictor.settings.architecture, on: training, inputs: predictor.settings.inputs, from: predictor,
            mask: mask, context: context)
    }

    private func judged(
        _ changed: NetworkPredictor, bytes: Int, used: Int, history: NetworkHistory? = nil
    ) throws -> CompressedModel {
        var pipeline = FittedPipeline(
            recipe: model.pipeline.recipe, predictor: changed, calibration: nil, task: model.task)
        pipeline.calibration = model.pipeline.calibration
        let new = TableModel(
            learner: model.learner, pipeline: pipeline, roles: model.roles, threshold: model.threshold,
            provenance: model.provenance)
        func judge(_ pipeline: FittedPipeline) throws -> (SupervisedEvaluation, Double) {
            var (seconds, predictions) = (Double.infinity, HostMatrix(rows: 0, columns: 1))
            for _ in 0..<3 {
                let start = monotonicSeconds()
                predictions = try pipeline.predict(features: judging.features, context: context)
                seconds = min(seconds, monotonicSeconds() - start)
            }
            return (
                try SupervisedEvaluation.evaluate(
                    predictions, task: model.task, target: judging.data.target, weights: judging.data.weights,
                    priors: model.provenance.priors, threshold: model.threshold, seed: model.provenance.seed,
                    threads: context.threads), seconds
            )
        }
        let (before, after) = (try judge(model.pipeline), try judge(pipeline))
        return CompressedModel(
            model: new, before: before.0, after: after.0, bytes: (predictor.weights.byteCount, bytes),
            seconds: (before.1, after.1), sparsity: NetworkPruning.sparsity(of: changed.weights),
            rows: (judging.features.rows, used), history: history)
    }
}

extension NetworkWeights {
    /// Bytes of all values.
    var byteCount: Int { values.reduce(0) { $0 + $1.byteCount } }
}
