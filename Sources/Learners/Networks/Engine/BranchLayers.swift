import Compute
import Core

/// An embedding whose vectors come from outside.
struct OpenedEmbedding {
    let name: String
    let tables: [EmbeddingTable]
    let units: Int
    let arrangement: EmbeddingArrangement
    /// batch × (units of all tables beside each other, or of their sum)
    let vectors: Matrix
    let gradient: Matrix
}

/// Tables of vectors, branches, and products of vectors.
extension LayerCompiler {
    /// The vectors that the identifiers of the batch have, behind the input or in its place. The tables' step is not part
    /// of the backward pass: it comes after it (``updates``).
    func embedding(
        _ layer: ResolvedLayer, _ input: LayerFlow, _ tables: [EmbeddingTable], _ units: Int,
        _ arrangement: EmbeddingArrangement
    ) throws(ComputeError) -> LayerFlow {
        let output = try flow(layer.output)
        if opensEmbeddings { return try opened(layer, input, output, tables, units, arrangement) }
        let batchIDs = try IdentifierBatch(tables, arrangement, batch: batch, training: training, stream: stream)
        identifiers.append(batchIDs)
        let table = parameters.table(layer.name)
        let before = arrangement == .append ? input.shape.columns : 0
        // A row for each example, also where the steps of a sequence have one each.
        let rows = output.flattened(batch: batch)
        let vectors = rows.value.columns(before..<rows.value.columns)
        if arrangement == .steps {
            padding = batchIDs.ids.window(rows: 1, columns: batchIDs.ids.count)
            ends = batchIDs.ends
        }
        add(
            forward: { stream throws(ComputeError) in
                if before > 0 { try stream.copy(input.value, to: output.value.columns(0..<before)) }
                try stream.gatherBags(
                    table.values, ids: batchIDs.ids, starts: batchIDs.starts, weights: batchIDs.weights, into: vectors)
            },
            backward: { stream throws(ComputeError) in
                guard let inputGradient = input.gradient, inputGradient.count > 0 else { return }
                if before > 0 {
                    try stream.copy(output.gradient!.columns(0..<before), to: inputGradient)
                } else {
                    try stream.fill(inputGradient, with: 0)
                }
            })
        if let gradient = rows.gradient {
            updates.append(
                try TableUpdate(
                    table: table, identifiers: batchIDs, gradient: gradient.columns(before..<gradient.columns),
                    accumulates: accumulates, stream: stream))
        }
        return output
    }

    /// The same with vectors from outside.
    private func opened(
        _ layer: ResolvedLayer, _ input: LayerFlow, _ output: LayerFlow, _ tables: [EmbeddingTable], _ units: Int,
        _ arrangement: EmbeddingArrangement
    ) throws(ComputeError) -> LayerFlow {
        let before = arrangement == .append ? input.shape.columns : 0
        let width = arrangement == .sum ? units : tables.count * units
        let (vectors, gradient) = (
            try stream.allocate(rows: batch, columns: width), try stream.allocate(rows: batch, columns: width)
        )
        opened.append(
            OpenedEmbedding(
                name: layer.name, tables: tables, units: units, arrangement: arrangement, vectors: vectors,
                gradient: gradient))
        let range = before..<before + width
        add(
            forward: { stream throws(ComputeError) in
                if before > 0 { try stream.copy(input.value, to: output.value.columns(0..<before)) }
                try stream.copy(vectors, to: output.value.columns(range))
            },
            backward: { stream throws(ComputeError) in
                try stream.copy(output.gradient!.columns(range), to: gradient)
                guard let inputGradient = input.gradient, inputGradient.count > 0 else { return }
                if before > 0 {
                    try stream.copy(output.gradient!.columns(0..<before), to: inputGradient)
                } else {
                    try stream.fill(inputGradient, with: 0)
                }
            })
        return output
    }

    /// What every branch makes of the input, side by side or added up.
    func branches(_ layer: ResolvedLayer, _ input: LayerFlow, adding: Bool) throws(ComputeError) -> LayerFlow {
        let output = try flow(layer.output)
        var inputs: [LayerFlow] = []
        for _ in layer.branches {
            var own = input
            if input.gradient != nil { own.gradient = try matrix(input.shape) }
            inputs.append(own)
        }
        let gradients = inputs.compactMap(\.gradient)
        // Runs last, when every branch has written its part.
        add(backward: { stream throws(ComputeError) in
            guard let inputGradient = input.gradient, inputGradient.count > 0 else { return }
            try self.total(gradients, inputGradient, stream)
        })
        var results: [LayerFlow] = []
        let (outerPadding, outerEnds) = (padding, ends)
        for (index, branch) in layer.branches.enumerated() {
            results.append(try compile(branch, inputs[index]))
            // A sequence that a branch begins is that branch's own.
            (padding, ends) = (outerPadding, outerEnds)
        }
        let windows = adding ? [] : places(results, in: output.value)
        add(
            forward: { stream throws(ComputeError) in
                if adding { return try self.total(results.map(\.value), output.value, stream) }
                for (result, window) in zip(results, windows) { try stream.copy(result.value, to: window) }
            },
            backward: { stream throws(ComputeError) in
                let gradient = output.gradient!
                let parts =
                    adding ? results.map { _ in gradient } : self.places(results, in: gradient)
                for (result, part) in zip(results, parts) { try stream.copy(part, to: result.gradient!) }
            })
        return output
    }

    /// The columns that each of several flows has of a matrix.
    private func places(_ flows: [LayerFlow], in whole: Matrix) -> [Matrix] {
        var start = 0
        return flows.map { flow in
            defer { start += flow.shape.columns }
            return whole.columns(start..<start + flow.shape.columns)
        }
    }

    private func total(_ parts: [Matrix], _ output: Matrix, _ stream: Compute.Stream) throws(ComputeError) {
        guard parts.count > 1 else { return try stream.copy(parts[0], to: output) }
        try stream.combine(parts[0], parts[1], into: output)
        for part in parts.dropFirst(2) { try stream.combine(output, part, into: output) }
    }

    /// The first vector of the input, and the products of all with each other.
    func interaction(_ layer: ResolvedLayer, _ input: LayerFlow, _ units: Int) throws(ComputeError) -> LayerFlow {
        let output = try flow(layer.output)
        let count = input.shape.columns / units
        add(
            forward: { stream throws(ComputeError) in
                try stream.copy(input.value.columns(0..<units), to: output.value.columns(0..<units))
                try stream.pairProducts(
                    input.value, vectors: count, into: output.value.columns(units..<output.value.columns))
            },
            backward: { stream throws(ComputeError) in
                guard let inputGradient = input.gradient, let gradient = output.gradient else { return }
                try stream.pairProductsGradient(
                    input.value, vectors: count, outputGradient: gradient.columns(units..<gradient.columns),
                    into: inputGradient)
                let first = inputGradient.columns(0..<units)
                try stream.combine(first, gradient.columns(0..<units), into: first)
            })
        return output
    }
}
