import CVectorLoops
import Compute
import Core

/// Top-k by products of 8-bit integers, exact by a bound of their error (CVectorLoops/TopKQuantized.c).
extension CPUBackend {
    /// Candidates to be scored in float32, of all that pass by, above which a plain product is cheaper.
    private static let worthwhileShare = 0.04

    /// Passes candidates by a block of queries until there are none left, or until too many can't be ruled out (vectors
    /// with a few large elements, or all alike); answers those that are left.
    func selectQuantized(
        _ topK: TopK, _ queries: Range<Int>, _ candidates: Range<Int>, _ division: TopKDivision,
        _ memory: TopKScratch, _ quantized: QuantizedTopKScratch
    ) -> Range<Int> {
        let (d, count) = (Int64(topK.queries.columns), Int64(queries.count))
        let rows = topK.queries.floats + queries.lowerBound * topK.queries.rowStride
        let (table, stride) = (topK.candidates.floats, topK.candidates.rowStride)
        let bias = topK.candidateBias?.floats
        let pointers = topK.exclusions.map {
            UnsafePointer($0.rowPointers.pointer(as: Int64.self) + queries.lowerBound)
        }
        let excluded = topK.exclusions.map { UnsafePointer($0.columnIndices.pointer(as: Int32.self)) }
        apus_quantize_queries(
            rows, Int64(topK.queries.rowStride), count, d, quantized.queries, quantized.facts)
        let share = topK.rounded?.errorShare ?? 1
        // The lists fill up first: what they let through says nothing.
        var allowance = Double(queries.count) * Double(4 * division.kept + division.tile)
        for first in Swift.stride(from: candidates.lowerBound, to: candidates.upperBound, by: division.tile) {
            let present = Int64(min(division.tile, candidates.upperBound - first))
            apus_quantize_candidates(
                table + first * stride, Int64(stride), present, d, bias.map { $0 + first }, quantized.candidates,
                quantized.scales, quantized.biases, quantized.panels)
            let scored = apus_top_k_quantized(
                memory.states, count, quantized.queries, quantized.facts, rows, Int64(topK.queries.rowStride),
                quantized.candidates, quantized.scales, quantized.biases, quantized.panels, table + first * stride,
                Int64(stride), present, Int32(first), bias.map { $0 + first }, d, pointers, excluded, share)
            allowance += Self.worthwhileShare * Double(queries.count) * Double(present) - Double(scored)
            if allowance < 0 { return first + Int(present)..<candidates.upperBound }
        }
        return candidates.upperBound..<candidates.upperBound
    }
}

extension CPUBackend {
    /// The same with codes that are there already, row after row: for few queries, which read all candidates for little
    /// work, a quarter of the memory.
    func selectRounded(
        _ topK: TopK, _ rounded: RoundedCandidates, _ queries: Range<Int>, _ candidates: Range<Int>,
        _ memory: TopKScratch
    ) {
        let (d, count) = (topK.queries.columns, queries.count)
        let matrix = rounded.matrix
        let codes = HostBuffer<Int8>(uninitializedCount: count * matrix.bytesPerRow)
        let facts = HostBuffer<apus_rounded_query>(uninitializedCount: count)
        for (place, query) in queries.enumerated() {
            apus_round_query(
                topK.queries.floats + query * topK.queries.rowStride, Int64(d),
                codes.baseAddress + place * matrix.bytesPerRow, facts.baseAddress + place)
        }
        let (first, stride) = (candidates.lowerBound, topK.candidates.rowStride)
        _ = apus_top_k_rounded(
            memory.states, Int64(count), facts.baseAddress, matrix.codes.baseAddress + first * matrix.bytesPerRow,
            matrix.scales + first, matrix.residuals + first, matrix.norms + first,
            topK.candidates.floats + first * stride, Int64(stride), Int64(candidates.count), Int32(first),
            topK.candidateBias.map { $0.floats + first }, Int64(d),
            topK.exclusions.map { UnsafePointer($0.rowPointers.pointer(as: Int64.self) + queries.lowerBound) },
            topK.exclusions.map { UnsafePointer($0.columnIndices.pointer(as: Int32.self)) }, rounded.errorShare)
    }
}

/// The part of a worker's scratch that rounded vectors take.
struct QuantizedTopKScratch {
    let queries: UnsafeMutablePointer<Int8>
    let facts: UnsafeMutablePointer<apus_quantized_query>
    let candidates: UnsafeMutablePointer<UInt8>
    let scales: UnsafeMutablePointer<Float>
    let biases: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<apus_quantized_panel>

    /// Floats of each part, whole cache lines.
    private static func parts(_ division: TopKDivision) -> [Int] {
        let rows = Int(APUS_QUANTIZED_ROWS)
        let bytes = Int(apus_quantized_bytes(Int64(division.dimensions)))
        let block = (division.block + rows - 1) / rows * rows
        return [
            block * bytes / 4, block * MemoryLayout<apus_quantized_query>.stride / 4, division.tile * bytes / 4,
            division.tile, division.tile,
            division.tile / Int(APUS_QUANTIZED_COLUMNS) * MemoryLayout<apus_quantized_panel>.stride / 4,
        ].map { TopKDivision.lines($0 + 1) }
    }

    static func floats(_ division: TopKDivision) -> Int { parts(division).reduce(0, +) }

    init(_ memory: UnsafeMutablePointer<Float>, _ division: TopKDivision) {
        let parts = Self.parts(division)
        var next = UnsafeMutableRawPointer(memory)
        func take<Element>(_ place: Int, _ type: Element.Type) -> UnsafeMutablePointer<Element> {
            defer { next += 4 * parts[place] }
            return next.bindMemory(to: type, capacity: 4 * parts[place] / MemoryLayout<Element>.stride)
        }
        queries = take(0, Int8.self)
        facts = take(1, apus_quantized_query.self)
        candidates = take(2, UInt8.self)
        scales = take(3, Float.self)
        biases = take(4, Float.self)
        panels = take(5, apus_quantized_panel.self)
    }
}
