import Compute
import Core
import Tables

/// Trains a network on pictures, and judges it: what `apus train cnn` does.
public enum ImageTraining {
    /// - Parameters:
    ///   - test: pictures that judge; nil for none.
    ///   - arguments: stored in the model.
    /// - Returns: a model of a table whose columns `x0`, `x1`, … are the pixels.
    public static func train(
        _ learner: CNNLearner, on training: ImageSet, test: ImageSet? = nil, arguments: [String] = [],
        context: LearningContext
    ) throws -> (model: TableModel, evaluation: SupervisedEvaluation?) {
        try train(
            learner, on: training, labels: training.labels, streamed: nil, test: test, arguments: arguments,
            context: context)
    }

    /// The same with pictures that memory does not hold. The mean and the deviation of the pixels come from a sample.
    ///
    /// - Parameters:
    ///   - sample: pictures of the sample.
    ///   - partBytes: bytes of pictures in memory at a time.
    ///   - folder: where they are kept, divided at random, while the training lasts: 4 bytes a number.
    public static func train(
        _ learner: CNNLearner, streaming files: ImageFiles, sample: ImageSet, partBytes: Int, folder: String,
        test: ImageSet? = nil, arguments: [String] = [], context: LearningContext
    ) throws -> (model: TableModel, evaluation: SupervisedEvaluation?) {
        try train(
            learner, on: sample, labels: files.labels,
            streamed: files.streamed(partBytes: partBytes, folder: folder), test: test, arguments: arguments,
            context: context)
    }

    private static func train(
        _ learner: CNNLearner, on training: ImageSet, labels all: [Int], streamed: StreamedRows?, test: ImageSet?,
        arguments: [String], context: LearningContext
    ) throws -> (model: TableModel, evaluation: SupervisedEvaluation?) {
        var learner = learner
        (learner.height, learner.width, learner.depth) = (
            training.shape.height, training.shape.width, training.shape.channels
        )
        try learner.validate()
        let labels = (0...(all.max() ?? 0)).map { String($0) }
        let task = try SupervisedTask.classification(labels)
        if let test {
            guard test.shape == training.shape else {
                throw DataError("the pictures of the test have another shape than those of the training")
            }
            if let label = test.labels.first(where: { $0 >= labels.count }) {
                throw DataError("label \(label) of the test is none of the training's \(labels.count) classes")
            }
        }
        let features = Features(training.pixels)
        var set = TrainingSet(features: features, task: task, target: training.labels.map { Double($0) })
        set.streamed = streamed
        var priors = [Double](repeating: 0, count: labels.count)
        for label in all { priors[label] += 1 / Double(all.count) }
        if let label = priors.firstIndex(of: 0) { throw DataError("no picture shows the class \(label)") }
        let predictor = try learner.fit(set, context: context)
        // The recipe does nothing but name the columns.
        let few = features.selecting(rows: Array(0..<min(training.count, 2))).dense
        let recipe = try Recipe().fit(
            try Table(
                features.names.enumerated().map { place, name in
                    Column(name, .number((0..<few.rows).map { Double(few[$0, place]) }))
                }, rowCount: few.rows))
        let pipeline = FittedPipeline(recipe: recipe, predictor: predictor, calibration: nil, task: task)
        var provenance = TableModelProvenance()
        provenance.createdAt = secondsSince1970()
        provenance.device = context.stream.device.identity.name
        provenance.threads = context.threads
        provenance.seed = learner.seed
        (provenance.rows, provenance.trainedRows) = (all.count, all.count)
        provenance.priors = priors
        provenance.arguments = arguments
        let evaluation = try test.map { test in
            try SupervisedEvaluation.evaluate(
                try pipeline.predict(features: Features(test.pixels), context: context), task: task,
                target: test.labels.map { Double($0) }, priors: priors, seed: learner.seed, threads: context.threads)
        }
        for (name, value) in evaluation?.metrics ?? [] where value.value.isFinite { provenance.metrics[name] = value }
        return (
            TableModel(
                learner: learner, pipeline: pipeline, roles: TableRoles(target: "label"), threshold: 0.5,
                provenance: provenance), evaluation
        )
    }
}
