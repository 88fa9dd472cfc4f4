import CVectorLoops
import Compute
import Core

/// Operations that treat every row, or every entry, by itself.
extension CPUBackend {
    /// Calls `body` with ranges of rows, in parallel.
    private func forRows(_ rows: Int, columns: Int, _ body: (Range<Int>) -> Void) {
        let size = Chunks.rows(columns: columns)
        pool.parallelFor(Chunks.count(rows, size: size)) { chunk, _ in
            body(Chunks.range(chunk, count: rows, size: size))
        }
    }

    func fill(_ fill: Fill) {
        let output = fill.output
        // A value that int32 can't hold takes the nearest one; NaN takes 0.
        let integer = fill.value.isNaN ? 0 : Int32(clamping: Int64(max(-0x1p40, min(0x1p40, fill.value))))
        forRows(output.rows, columns: output.columns) { rows in
            for row in rows {
                if output.elementType == .int32 {
                    (output.pointer(as: Int32.self) + row * output.rowStride)
                        .update(repeating: integer, count: output.columns)
                } else {
                    (output.floats + row * output.rowStride).update(repeating: fill.value, count: output.columns)
                }
            }
        }
    }

    func copy(_ copy: Copy) {
        let (input, output) = (copy.input, copy.output)
        // float32 and int32 are both four bytes.
        let (source, target) = (input.pointer(as: UInt32.self), output.pointer(as: UInt32.self))
        forRows(output.rows, columns: output.columns) { rows in
            for row in rows {
                (target + row * output.rowStride).update(from: source + row * input.rowStride, count: input.columns)
            }
        }
    }

    func gather(_ gather: Gather) {
        forRows(gather.output.rows, columns: gather.output.columns) { rows in
            apus_gather_rows(
                gather.table.floats, Int64(gather.table.rowStride), Int64(gather.table.rows),
                gather.indices.pointer(as: Int32.self), Int64(gather.output.columns), Int64(rows.lowerBound),
                Int64(rows.upperBound), gather.output.floats, Int64(gather.output.rowStride))
        }
    }

    func rowNorms(_ norms: RowNorms) {
        forRows(norms.input.rows, columns: norms.input.columns) { rows in
            apus_row_norms(
                norms.input.floats, Int64(norms.input.rowStride), Int64(norms.input.columns),
                Int64(rows.lowerBound), Int64(rows.upperBound), norms.squared, norms.output.floats)
        }
    }

    func scaleRows(_ scale: ScaleRows) {
        forRows(scale.input.rows, columns: scale.input.columns) { rows in
            apus_scale_rows(
                scale.input.floats, Int64(scale.input.rowStride), scale.factors.floats, scale.divide,
                Int64(scale.input.columns), Int64(rows.lowerBound), Int64(rows.upperBound), scale.output.floats,
                Int64(scale.output.rowStride))
        }
    }

    func randomUniform(_ random: RandomUniform) {
        let output = random.output
        if output.isContiguous {
            let size = 1 << 14
            pool.parallelFor(Chunks.count(output.count, size: size)) { chunk, _ in
                let range = Chunks.range(chunk, count: output.count, size: size)
                apus_random_uniform(
                    random.seed, random.stream, random.start + UInt64(range.lowerBound), Int64(range.count),
                    output.floats + range.lowerBound)
            }
        } else {
            forRows(output.rows, columns: output.columns) { rows in
                for row in rows {
                    apus_random_uniform(
                        random.seed, random.stream, random.start + UInt64(row * output.columns),
                        Int64(output.columns), output.floats + row * output.rowStride)
                }
            }
        }
    }

    /// Sums of chunks of rows in double precision, added up in the order of the chunks; wide matrices are cut into
    /// bands of columns too.
    func columnSums(_ sums: ColumnSums) {
        let (rows, columns) = (sums.input.rows, sums.input.columns)
        let band = min(columns, 2048)
        let bands = Chunks.count(columns, size: band)
        let size = max(Chunks.rows(columns: band, elements: 1 << 17), Chunks.count(rows, size: 256))
        let chunks = max(Chunks.count(rows, size: size), 1)
        let partial = HostBuffer<Double>(uninitializedCount: chunks * columns)
        pool.parallelFor(chunks * bands) { task, _ in
            let (chunk, band) = (task / bands, Chunks.range(task % bands, count: columns, size: band))
            let range = Chunks.range(chunk, count: rows, size: size)
            apus_column_sums(
                sums.input.floats + band.lowerBound, Int64(sums.input.rowStride), Int64(band.count),
                Int64(range.lowerBound), Int64(range.upperBound),
                partial.baseAddress + chunk * columns + band.lowerBound)
        }
        apus_sum_parts(partial.baseAddress, Int64(chunks), Int64(columns), 0, Int64(columns))
        for column in 0..<columns { sums.output.floats[column] = Float(partial[column]) }
    }

    // MARK: Sparse

    /// Ranges of rows with about equal numbers of entries, fixed by the matrix alone.
    func balancedRows(_ sparse: SparseMatrix, entriesPerChunk: Int, rowCost: Int) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var (start, work) = (0, 0)
        for row in 0..<sparse.rows {
            work += sparse.entryCount(ofRow: row) + rowCost
            if work >= entriesPerChunk {
                ranges.append(start..<row + 1)
                (start, work) = (row + 1, 0)
            }
        }
        if start < sparse.rows { ranges.append(start..<sparse.rows) }
        return ranges
    }

    private func forSparseRows(_ sparse: SparseMatrix, columns: Int, _ body: (Range<Int>) -> Void) {
        let ranges = balancedRows(sparse, entriesPerChunk: max(64, (1 << 17) / max(columns, 1)), rowCost: 1)
        pool.parallelFor(ranges.count) { chunk, _ in body(ranges[chunk]) }
    }

    func sparseTimesDense(_ product: SparseTimesDense) {
        let sparse = product.sparse
        forSparseRows(sparse, columns: product.dense.columns) { rows in
            apus_sparse_times_dense(
                sparse.rowPointers.pointer(as: Int64.self), sparse.columnIndices.pointer(as: Int32.self),
                sparse.values.floats, product.dense.floats, Int64(product.dense.rowStride),
                Int64(product.dense.columns), product.alpha, product.beta, product.output.floats,
                Int64(product.output.rowStride), Int64(rows.lowerBound), Int64(rows.upperBound))
        }
    }

    func residualTargets(_ residual: ResidualTargets) {
        let sparse = residual.sparse
        forSparseRows(sparse, columns: 8) { rows in
            apus_residual_targets(
                sparse.rowPointers.pointer(as: Int64.self), sparse.columnIndices.pointer(as: Int32.self),
                sparse.values.floats, residual.rowOffset?.floats, residual.columnOffset?.floats, residual.constant,
                residual.output.floats, Int64(rows.lowerBound), Int64(rows.upperBound))
        }
    }

    func observedLoss(_ loss: ObservedLoss) {
        let sparse = loss.sparse
        forSparseRows(sparse, columns: loss.a.columns) { rows in
            apus_observed_loss(
                sparse.rowPointers.pointer(as: Int64.self), sparse.columnIndices.pointer(as: Int32.self),
                loss.weighted ? sparse.values.floats : nil, loss.targets?.floats, loss.a.floats,
                Int64(loss.a.rowStride), loss.b.floats, Int64(loss.b.rowStride), Int64(loss.a.columns),
                loss.output.floats, Int64(rows.lowerBound), Int64(rows.upperBound))
        }
    }

    func observedScores(_ scores: ObservedScores) {
        forRows(scores.output.columns, columns: 2 * scores.a.columns) { entries in
            apus_pair_scores(
                scores.rowIndices.pointer(as: Int32.self), scores.columnIndices.pointer(as: Int32.self),
                scores.a.floats, Int64(scores.a.rowStride), Int64(scores.a.rows), scores.b.floats,
                Int64(scores.b.rowStride), Int64(scores.b.rows), Int64(scores.a.columns), scores.output.floats,
                Int64(entries.lowerBound), Int64(entries.upperBound))
        }
    }
}
