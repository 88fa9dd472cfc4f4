import Compute
import Core

/// What each input adds to an output of a network: the gradient, averaged along the straight line from a reference, times
/// the distance from it. Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017.
///
/// Between two levels of a category there is no line; between their vectors there is, and an identifier's contribution is that
/// of the vectors which it looks up, in all layers together.
public struct IntegratedGradients {
    private let network: ResolvedNetwork
    private let runner: NetworkRunner
    private let stream: Compute.Stream
    private let parameters: DeviceParameters
    private let weights: NetworkWeights

    /// By how much contributions may miss the difference of the outputs, relative to it.
    public static let tolerance = 1e-3
    /// Points on the line to begin with, and at most.
    private static let points = (first: 64, most: 8192)

    /// A place on a line: numbers, and one identifier for each table.
    public struct Input: Sendable {
        public var numbers: [Float]
        public var identifiers: [Int32]

        public init(numbers: [Float], identifiers: [Int32] = []) {
            self.numbers = numbers
            self.identifiers = identifiers
        }
    }

    /// Contributions to an output.
    public struct Contributions: Sendable {
        /// The output for the reference.
        public var base: Double
        /// Of each number, row after row.
        public var numbers: [Double] = []
        /// Of each identifier, row after row.
        public var identifiers: [Double] = []
    }

    public init(_ architecture: NetworkArchitecture, weights: NetworkWeights, stream: Compute.Stream) throws {
        network = try architecture.resolved()
        runner = try NetworkRunner(architecture, weights: weights, stream: stream)
        parameters = try DeviceParameters(weights, training: true, stream: stream)
        self.weights = weights
        self.stream = stream
    }

    /// The output for the reference, and what the inputs of each row add to it. For networks whose tables look up one
    /// identifier each.
    ///
    /// - Complexity: some hundred forward and backward passes for each row.
    public func contributions(
        _ features: HostMatrix, identifiers: IdentifierRows? = nil, from reference: Input, output: Int
    ) throws -> Contributions {
        let columns = features.columns
        let width = identifiers?.columns ?? 0
        let base = Double(
            try runner.outputs(
                HostMatrix(rows: 1, columns: columns, elements: reference.numbers),
                identifiers: width > 0 ? IdentifierRows(columns: width, values: reference.identifiers) : nil)[0, output]
        )
        let outputs = try runner.outputs(features, identifiers: identifiers)
        var result = Contributions(base: base)
        var programs: [Int: InputGradientProgram] = [:]
        for row in 0..<features.rows {
            let place = Input(
                numbers: Array(features.row(row)),
                identifiers: identifiers.map { Array($0.values[row * width..<(row + 1) * width]) } ?? [])
            let difference = Double(outputs[row, output]) - base
            var points = Self.points.first
            var own: (numbers: [Double], identifiers: [Double]) = ([], [])
            while true {
                if programs[points] == nil {
                    programs[points] = try InputGradientProgram(
                        network, parameters: parameters, weights: weights, points: points, output: output,
                        stream: stream)
                }
                own = try programs[points]!.integrate(place, from: reference, stream)
                let missed = abs(own.numbers.reduce(0, +) + own.identifiers.reduce(0, +) - difference)
                if missed <= Self.tolerance / 2 * max(abs(difference), 1e-3) || points >= Self.points.most { break }
                points *= 4
            }
            result.numbers += own.numbers
            result.identifiers += own.identifiers
        }
        return result
    }
}

/// The gradient of one output with respect to the inputs, and to the vectors of identifiers, at points on a line.
private final class InputGradientProgram {
    private let points: Int
    private let input: Matrix
    private let gradient: Matrix
    private let opened: [OpenedEmbedding]
    private let weights: NetworkWeights
    private let plan: Plan

    init(
        _ network: ResolvedNetwork, parameters: DeviceParameters, weights: NetworkWeights, points: Int, output: Int,
        stream: Compute.Stream
    ) throws(ComputeError) {
        self.points = points
        self.weights = weights
        let step = try stream.upload([0] as [Int32])
        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: points, training: true, dropsOut: false,
            usesBatchStatistics: false, seed: 0, step: step)
        compiler.opensEmbeddings = true
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
        opened = compiler.opened
        plan = try stream.record { stream throws(ComputeError) in
            try compiler.runForward(stream)
            try stream.fill(wanted, with: 0)
            try stream.fill(wanted.columns(output..<output + 1), with: 1)
            try compiler.runBackward(stream)
        }
        (input, gradient) = (value, slope)
    }

    /// The mean gradient by the midpoint rule, times the distance.
    func integrate(
        _ place: IntegratedGradients.Input, from reference: IntegratedGradients.Input, _ stream: Compute.Stream
    ) throws(ComputeError) -> (numbers: [Double], identifiers: [Double]) {
        if input.columns > 0 {
            try stream.upload(line(from: reference.numbers, to: place.numbers), to: input)
        }
        for layer in opened {
            try stream.upload(
                line(from: vectors(layer, reference.identifiers), to: vectors(layer, place.identifiers)),
                to: layer.vectors)
        }
        try stream.replay(plan)
        var identifiers = [Double](repeating: 0, count: place.identifiers.count)
        for layer in opened {
            let slopes = try meanSlopes(layer.gradient, stream)
            for (number, table) in layer.tables.enumerated() {
                let (start, end) = (
                    vector(layer, number, reference.identifiers), vector(layer, number, place.identifiers)
                )
                // A sum has the same gradient for all of its tables.
                let first = layer.arrangement == .sum ? 0 : number * layer.units
                for unit in 0..<layer.units {
                    identifiers[table.column] += slopes[first + unit] * (Double(end[unit]) - Double(start[unit]))
                }
            }
        }
        guard input.columns > 0 else { return ([], identifiers) }
        let slopes = try meanSlopes(gradient, stream)
        return (
            slopes.indices.map { slopes[$0] * (Double(place.numbers[$0]) - Double(reference.numbers[$0])) }, identifiers
        )
    }

    private func line(from start: [Float], to end: [Float]) -> [Float] {
        var rows: [Float] = []
        rows.reserveCapacity(points * end.count)
        for point in 0..<points {
            let part = (Float(point) + 0.5) / Float(points)
            for column in end.indices { rows.append(start[column] + part * (end[column] - start[column])) }
        }
        return rows
    }

    private func meanSlopes(_ gradient: Matrix, _ stream: Compute.Stream) throws(ComputeError) -> [Double] {
        let slopes = try stream.download(gradient)
        return (0..<slopes.columns).map { column in
            (0..<points).reduce(0.0) { $0 + Double(slopes[$1, column]) } / Double(points)
        }
    }

    /// The vector of a table's identifier; 0 for none.
    private func vector(_ layer: OpenedEmbedding, _ number: Int, _ identifiers: [Int32]) -> [Float] {
        let row = identifiers[layer.tables[number].column]
        guard row >= 0, let table = weights["\(layer.name).\(number).weight"] else {
            return [Float](repeating: 0, count: layer.units)
        }
        return (0..<layer.units).map { table[Int(row) * layer.units + $0] }
    }

    private func vectors(_ layer: OpenedEmbedding, _ identifiers: [Int32]) -> [Float] {
        let all = layer.tables.indices.map { vector(layer, $0, identifiers) }
        guard layer.arrangement == .sum else { return all.flatMap { $0 } }
        return (0..<layer.units).map { unit in all.reduce(0) { $0 + $1[unit] } }
    }
}
