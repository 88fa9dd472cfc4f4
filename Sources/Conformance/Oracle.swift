import Compute
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// The scalar double-precision oracle: one function per primitive, straight from the formulas of `Operation`.
///
/// It shares no code with a device, calls no BLAS, and prefers the plainest loop to a fast one. Where a tolerance must
/// scale with the data, the function also gives the sum of the magnitudes of the terms of every element.
public enum Oracle {
    /// Values with the sums of the magnitudes of their terms, |A|·|B| for a product.
    public struct Sums: Sendable {
        public var values: OracleMatrix
        public var magnitudes: OracleMatrix
    }

    /// `table[indices[i], :]`; an index outside the table gives NaN.
    public static func gather(_ table: OracleMatrix, rows indices: [Int]) -> OracleMatrix {
        var result = OracleMatrix(rows: indices.count, columns: table.columns, repeating: .nan)
        for (place, index) in indices.enumerated() where index >= 0 && index < table.rows {
            for column in 0..<table.columns { result[place, column] = table[index, column] }
        }
        return result
    }

    /// `alpha · op(a) · op(b) + beta · output + bias`, before the activation. `output` is nil where beta is 0.
    public static func gemm(
        _ a: OracleMatrix, transposeA: Bool, _ b: OracleMatrix, transposeB: Bool, alpha: Double, beta: Double,
        bias: [Double]?, output: OracleMatrix?
    ) -> Sums {
        let a = transposeA ? a.transposed : a
        let b = transposeB ? b.transposed : b
        var sums = product(a, b)
        for row in 0..<sums.values.rows {
            for column in 0..<sums.values.columns {
                var value = alpha * sums.values[row, column]
                var magnitude = abs(alpha) * sums.magnitudes[row, column]
                if beta != 0, let output {
                    value += beta * output[row, column]
                    magnitude += abs(beta * output[row, column])
                }
                if let bias {
                    value += bias[column]
                    magnitude += abs(bias[column])
                }
                sums.values[row, column] = value
                sums.magnitudes[row, column] = magnitude
            }
        }
        return sums
    }

    /// `a · b`.
    public static func product(_ a: OracleMatrix, _ b: OracleMatrix) -> Sums {
        precondition(a.columns == b.rows)
        let n = b.columns
        var values = OracleMatrix(rows: a.rows, columns: n)
        var magnitudes = OracleMatrix(rows: a.rows, columns: n)
        values.elements.withUnsafeMutableBufferPointer { values in
            magnitudes.elements.withUnsafeMutableBufferPointer { magnitudes in
                b.elements.withUnsafeBufferPointer { right in
                    for row in 0..<a.rows {
                        for inner in 0..<a.columns {
                            let left = a[row, inner]
                            for column in 0..<n {
                                let term = left * right[inner * n + column]
                                values[row * n + column] += term
                                magnitudes[row * n + column] += abs(term)
                            }
                        }
                    }
                }
            }
        }
        return Sums(values: values, magnitudes: magnitudes)
    }

    /// The activation and its derivative at `x`.
    public static func activate(_ x: Double, _ activation: Activation) -> (value: Double, slope: Double) {
        switch activation {
        case .identity: return (x, 1)
        case .relu: return (max(x, 0), 1)
        case .sigmoid:
            let value = 1 / (1 + exp(-x))
            return (value, value * (1 - value))
        case .tanh:
            let value = tanh(x)
            return (value, 1 - value * value)
        }
    }

    /// `inputᵀ · input`.
    public static func gram(_ input: OracleMatrix) -> Sums {
        product(input.transposed, input)
    }

    /// `alpha · sparse · dense + beta · output`. `output` is nil where beta is 0.
    public static func sparseTimesDense(
        _ sparse: OracleSparseMatrix, _ dense: OracleMatrix, alpha: Double, beta: Double, output: OracleMatrix?
    ) -> Sums {
        var sums = Sums(
            values: OracleMatrix(rows: sparse.rows, columns: dense.columns),
            magnitudes: OracleMatrix(rows: sparse.rows, columns: dense.columns))
        for row in 0..<sparse.rows {
            for column in 0..<dense.columns {
                var value = 0.0
                var magnitude = 0.0
                for entry in sparse.range(ofRow: row) {
                    let term = sparse.values[entry] * dense[sparse.columnIndices[entry], column]
                    value += term
                    magnitude += abs(term)
                }
                value *= alpha
                magnitude *= abs(alpha)
                if beta != 0, let output {
                    value += beta * output[row, column]
                    magnitude += abs(beta * output[row, column])
                }
                sums.values[row, column] = value
                sums.magnitudes[row, column] = magnitude
            }
        }
        return sums
    }

    /// `Σ_i input[i, j]`, 1 × d.
    public static func columnSums(_ input: OracleMatrix) -> Sums {
        var sums = Sums(
            values: OracleMatrix(rows: 1, columns: input.columns),
            magnitudes: OracleMatrix(rows: 1, columns: input.columns))
        for row in 0..<input.rows {
            for column in 0..<input.columns {
                sums.values.elements[column] += input[row, column]
                sums.magnitudes.elements[column] += abs(input[row, column])
            }
        }
        return sums
    }

    /// `‖input[i, :]‖` or its square, 1 × n.
    public static func rowNorms(_ input: OracleMatrix, squared: Bool) -> OracleMatrix {
        let squares = (0..<input.rows).map { input.row($0).reduce(0) { $0 + $1 * $1 } }
        return OracleMatrix(
            rows: 1, columns: input.rows, elements: squared ? squares : squares.map { $0.squareRoot() })
    }

    /// `input[i, :] · factors[i]`, or divided by it with a factor of 0 giving 0.
    public static func scaleRows(_ input: OracleMatrix, by factors: [Double], divide: Bool) -> OracleMatrix {
        var result = input
        for row in 0..<input.rows {
            for column in 0..<input.columns {
                if divide {
                    result[row, column] = factors[row] == 0 ? 0 : input[row, column] / factors[row]
                } else {
                    result[row, column] = input[row, column] * factors[row]
                }
            }
        }
        return result
    }

    /// The uniforms number `start` and following, rows × columns, to the bit.
    public static func randomUniform(
        rows: Int, columns: Int, seed: UInt64, stream: UInt64, start: UInt64
    ) -> [Float] {
        let generator = Philox(seed: seed, stream: stream)
        return (0..<rows * columns).map { generator.uniform(start &+ UInt64($0)) }
    }

    /// The operand as a product of this precision takes it.
    static func taken(_ operand: OracleMatrix, _ precision: ProductPrecision) -> OracleMatrix {
        guard precision == .bfloat16 else { return operand }
        return OracleMatrix(
            rows: operand.rows, columns: operand.columns,
            elements: operand.elements.map { value in
                // The nearest number with 8 significant bits, ties to even.
                guard value != 0, value.isFinite else { return value }
                let scale = Double(sign: .plus, exponent: value.exponent - 7, significand: 1)
                return (value / scale).rounded(.toNearestOrEven) * scale
            })
    }
}
