import CVectorLoops
import Compute
import Core

/// Products of 8-bit integers: by instructions that add four products of bytes, where there are such.
extension CPUBackend {
    func quantize(_ x: Quantize) {
        chunks(x.input) { begin, end in
            apus_network_quantize(
                x.input.floats, x.input.stride, x.inverse, x.codes.pointer(as: Int32.self), x.codes.stride,
                Int64(x.input.columns), begin, end)
        }
    }

    func quantizedGemm(_ x: QuantizedGemm) {
        guard apus_quantized_products_available() else {
            chunks(rows: x.output.rows, columns: x.b.count) { begin, end in
                apus_network_quantized_gemm(
                    x.a.pointer(as: Int32.self), x.a.stride, x.step, x.b.pointer(as: Int32.self), x.b.stride,
                    x.scales.floats, (x.bias ?? x.scales).floats, x.bias == nil ? 0 : 1, x.activation.function.number,
                    x.output.floats, x.output.stride, Int64(x.output.columns), Int64(x.a.columns), begin, end)
            }
            return
        }
        let (n, words) = (x.b.rows, x.b.columns)
        let width = Int(APUS_QUANTIZED_PRODUCT_COLUMNS)
        let panels = Chunks.count(n, size: width)
        // All of b, packed once for every chunk of rows.
        let packed = UnsafeMutableRawPointer(scratch(worker: 0, count: max(panels * width * words, 1)))
            .bindMemory(to: UInt32.self, capacity: max(panels * width * words, 1))
        let b = x.b.pointer(as: Int32.self)
        pool.parallelFor(panels) { panel, _ in
            apus_quantized_pack(
                b, x.b.stride, Int64(n), Int64(words), Int64(panel), packed + panel * width * words)
        }
        let size = Int(APUS_QUANTIZED_PRODUCT_ROWS)
        pool.parallelFor(Chunks.count(x.output.rows, size: size)) { chunk, _ in
            let range = Chunks.range(chunk, count: x.output.rows, size: size)
            let output = x.output.floats + range.lowerBound * x.output.rowStride
            apus_quantized_product(
                x.a.pointer(as: Int32.self) + range.lowerBound * x.a.rowStride, x.a.stride, Int64(range.count), x.step,
                packed, x.scales.floats, x.bias?.floats, x.activation == .relu ? 1 : 0, output, x.output.stride,
                Int64(n), Int64(words))
            guard x.activation == .sigmoid || x.activation == .tanh else { return }
            apus_network_activation(
                output, x.output.stride, output, x.output.stride, Int64(n), x.activation.function.number, 0,
                Int64(range.count))
        }
    }
}
