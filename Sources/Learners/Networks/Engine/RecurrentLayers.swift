import Compute
import Core

/// Recurrent layers: the products with the inputs of all steps are one, those with the states come step by step.
extension LayerCompiler {
    func recurrent(
        _ cell: RecurrentCell, _ units: Int, _ name: String, _ input: LayerFlow
    ) throws(ComputeError) -> LayerFlow {
        let length = input.shape.rows
        let inputs = try within(
            input, weight: "\(name).weight_ih_l0", bias: "\(name).bias_ih_l0", columns: cell.gates * units)
        let output = try flow(LayerShape(rows: length, columns: units))
        let kept = try matrix(LayerShape(rows: length, columns: cell.kept * units))
        let zero = try stream.allocate(rows: batch, columns: units)
        try stream.fill(zero, with: 0)
        let recurrentPart = try stream.allocate(rows: batch, columns: cell.gates * units)
        let weight = parameters.value("\(name).weight_hh_l0")
        let bias = parameters.value("\(name).bias_hh_l0")
        let (batch, states) = (batch, output.value)
        /// The rows of one step of all sequences.
        func step(_ matrix: Matrix, _ number: Int) throws(ComputeError) -> Matrix {
            try Matrix(
                storage: matrix.storage, elementType: .float32, offset: matrix.offset + number * matrix.rowStride,
                rows: batch, columns: matrix.columns, rowStride: length * matrix.rowStride)
        }
        add(forward: { stream throws(ComputeError) in
            for number in 0..<length {
                let previous = number == 0 ? zero : try step(states, number - 1)
                try stream.gemm(previous, weight, transposeB: true, bias: bias, into: recurrentPart)
                try stream.recurrentStep(
                    cell, inputs: try step(inputs.value, number), recurrent: recurrentPart, previous: previous,
                    previousKept: number == 0 ? nil : try step(kept, number - 1), kept: try step(kept, number),
                    into: try step(states, number))
            }
        })
        guard training, let gradient = output.gradient, let inputGradient = inputs.gradient else { return output }
        let recurrentGradient = try matrix(LayerShape(rows: length, columns: cell.gates * units))
        // The state before each step: that of the step before, 0 in the first.
        let before = try matrix(LayerShape(rows: length, columns: units))
        let places = try stream.upload((0..<batch * length).map { Int32(max($0 - 1, 0)) })
        var carries: [Matrix] = []
        for _ in 0..<2 { carries.append(try stream.allocate(rows: batch, columns: units)) }
        let memory = try stream.allocate(rows: batch, columns: units)
        let weightGradient = parameters.gradient("\(name).weight_hh_l0")
        let biasGradient = parameters.gradient("\(name).bias_hh_l0")
        let buffers = carries
        add(backward: { stream throws(ComputeError) in
            for number in (0..<length).reversed() {
                let (carried, next) = (buffers[number % 2], buffers[(number + 1) % 2])
                let last = number == length - 1
                let ownGradient = try step(recurrentGradient, number)
                try stream.recurrentStepGradient(
                    cell, previous: number == 0 ? zero : try step(states, number - 1),
                    previousKept: number == 0 ? nil : try step(kept, number - 1), kept: try step(kept, number),
                    outputGradient: try step(gradient, number), carried: last ? nil : carried, memoryGradient: memory,
                    hasMemoryGradient: cell == .lstm && !last, inputGradient: try step(inputGradient, number),
                    recurrentGradient: ownGradient, previousGradient: next)
                if number > 0 { try stream.gemm(ownGradient, weight, beta: 1, into: next) }
            }
            try stream.gather(states, rows: places, into: before)
            try stream.fill(try step(before, 0), with: 0)
            try stream.gemm(recurrentGradient, transposeA: true, before, into: weightGradient)
            try stream.columnSums(recurrentGradient, into: biasGradient)
        })
        return output
    }
}
