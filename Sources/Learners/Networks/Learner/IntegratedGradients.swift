import Compute
import Core

/// What each input adds to an output of a network: the gradient, averaged along the straight line from a reference, times
/// the distance from it. Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017.
public struct IntegratedGradients {
    private let network: ResolvedNetwork
    private let runner: NetworkRunner
    private let stream: Compute.Stream
    private let parameters: DeviceParameters

    /// By how much contributions may miss the difference of the outputs, relative to it.
    public static let tolerance = 1e-3
    /// Points on the line to begin with, and at most.
    private static let points = (first: 64, most: 8192)

    public init(_ architecture: NetworkArchitecture, weights: NetworkWeights, stream: Compute.Stream) throws {
        network = try architecture.resolved()
        runner = try NetworkRunner(architecture, weights: weights, stream: stream)
        parameters = try DeviceParameters(weights, training: true, stream: stream)
        self.stream = stream
    }

    /// The output for the reference, and what the inputs of each row add to it.
    ///
    /// - Complexity: some hundred forward and backward passes for each row.
    public func contributions(
        _ features: HostMatrix, from reference: [Float], output: Int
    ) throws -> (base: Double, values: [Double]) {
        let columns = features.columns
        let base = Double(try runner.outputs(HostMatrix(rows: 1, columns: columns, elements: reference))[0, output])
        let outputs = try runner.outputs(features)
        var values: [Double] = []
        values.reserveCapacity(features.rows * columns)
        var programs: [Int: InputGradientProgram] = [:]
        for row in 0..<features.rows {
            let difference = Double(outputs[row, output]) - base
            var points = Self.points.first
            var own: [Double] = []
            while true {
                if programs[points] == nil {
                    programs[points] = try InputGradientProgram(
                        network, parameters: parameters, points: points, output: output, stream: stream)
                }
                own = try programs[points]!.integrate(Array(features.row(row)), from: reference, stream)
                let missed = abs(own.reduce(0, +) - difference)
                if missed <= Self.tolerance / 2 * max(abs(difference), 1e-3) || points >= Self.points.most { break }
                points *= 4
            }
            values += own
        }
        return (base, values)
    }
}

/// The gradient of one output with respect to the inputs, at points on a line.
private final class InputGradientProgram {
    private let points: Int
    private let input: Matrix
    private let gradient: Matrix
    private let plan: Plan

    init(
        _ network: ResolvedNetwork, parameters: DeviceParameters, points: Int, output: Int, stream: Compute.Stream
    ) throws(ComputeError) {
        self.points = points
        let step = try stream.upload([0] as [Int32])
        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: points, training: true, dropsOut: false,
            usesBatchStatistics: false, seed: 0, step: step)
        let width = network.input.rows * network.input.columns
        let (value, slope) = (
            try stream.allocate(rows: points, columns: width), try stream.allocate(rows: points, columns: width)
        )
        let rows = points * network.input.rows
        let last = try compiler.compile(
            network.layers,
            LayerFlow(
                value: value.window(rows: rows, columns: network.input.columns),
                gradient: slope.window(rows: rows, columns: network.input.columns), shape: network.input)
        ).flattened(batch: points)
        let wanted = last.gradient!
        plan = try stream.record { stream throws(ComputeError) in
            try compiler.runForward(stream)
            try stream.fill(wanted, with: 0)
            try stream.fill(wanted.columns(output..<output + 1), with: 1)
            try compiler.runBackward(stream)
        }
        (input, gradient) = (value, slope)
    }

    /// The mean gradient by the midpoint rule, times the distance.
    func integrate(_ row: [Float], from reference: [Float], _ stream: Compute.Stream) throws(ComputeError) -> [Double] {
        var rows: [Float] = []
        rows.reserveCapacity(points * row.count)
        for point in 0..<points {
            let part = (Float(point) + 0.5) / Float(points)
            for column in row.indices { rows.append(reference[column] + part * (row[column] - reference[column])) }
        }
        try stream.upload(rows, to: input)
        try stream.replay(plan)
        let slopes = try stream.download(gradient)
        return row.indices.map { column in
            var sum = 0.0
            for point in 0..<points { sum += Double(slopes[point, column]) }
            return sum / Double(points) * (Double(row[column]) - Double(reference[column]))
        }
    }
}
