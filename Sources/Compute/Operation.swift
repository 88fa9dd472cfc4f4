import Core

/// One unit of work for a device, its arguments already checked by ``Stream``.
///
/// The seam between the shared front and the backends is this list: about thirty coarse primitives, each worth a
/// launch, each with a formula, an oracle and a shape sweep in `Conformance`. A backend executes them in order.
public enum Operation: Sendable {
    case fill(Fill)
    case copy(Copy)
    case gather(Gather)
    case gemm(Gemm)
    case batchedGemm(BatchedGemm)
    case gram(Gram)
    case sparseTimesDense(SparseTimesDense)
    case columnSums(ColumnSums)
    case rowNorms(RowNorms)
    case scaleRows(ScaleRows)
    case randomUniform(RandomUniform)
    case residualTargets(ResidualTargets)
    case observedLoss(ObservedLoss)
    case observedScores(ObservedScores)
    case solveNormalEquations(SolveNormalEquations)
    case topK(TopK)
    case network(NetworkOperation)
    case assignNearest(AssignNearest)
    case accumulateByLabel(AccumulateByLabel)

    /// Name of the primitive, as in certificates and messages.
    public var name: String { kind.rawValue }

    /// Which primitive this is.
    public var kind: OperationKind {
        switch self {
        case .fill: .fill
        case .copy: .copy
        case .gather: .gather
        case .gemm: .gemm
        case .batchedGemm: .batchedGemm
        case .gram: .gram
        case .sparseTimesDense: .sparseTimesDense
        case .columnSums: .columnSums
        case .rowNorms: .rowNorms
        case .scaleRows: .scaleRows
        case .randomUniform: .randomUniform
        case .residualTargets: .residualTargets
        case .observedLoss: .observedLoss
        case .observedScores: .observedScores
        case .solveNormalEquations: .solveNormalEquations
        case .topK: .topK
        case .network(let operation): operation.kind
        case .assignNearest: .assignNearest
        case .accumulateByLabel: .accumulateByLabel
        }
    }
}

/// The primitives by name, for certificates, counters and benchmarks.
public enum OperationKind: String, Sendable, CaseIterable {
    case fill, copy, gather, gemm, batchedGemm, gram, sparseTimesDense, columnSums, rowNorms, scaleRows, randomUniform
    case residualTargets, observedLoss, observedScores, solveNormalEquations, topK
    case activation, activationGradient, linearCombination, softmaxCrossEntropy, rankingLoss, elementLoss
    case addToTotal, dropout
    case batchNorm, batchNormProducts, batchNormStatistics, batchNormGradient
    case layerNorm, layerNormGradient, optimizerStep, updateRows, perceptronSteps
    case attention, attentionGradient, recurrentStep, recurrentStepGradient
    case gatherBags, pairProducts, pairProductsGradient, unfold, fold, pool, poolGradient, quantize, quantizedGemm
    case assignNearest, accumulateByLabel
}

/// Every element of `output` becomes `value`.
public struct Fill: Sendable {
    /// float32 or int32 (the value is then rounded towards zero).
    public let output: Matrix
    public let value: Float
}

/// `output = input`, element by element; both of one shape and type.
public struct Copy: Sendable {
    public let input: Matrix
    public let output: Matrix
}

/// `output[i, :] = table[indices[i], :]`. An index outside the table gives a row of NaN, never a fault.
public struct Gather: Sendable {
    /// n × d, float32.
    public let table: Matrix
    /// 1 × m, int32.
    public let indices: Matrix
    /// m × d, float32.
    public let output: Matrix
}

/// What is applied to a product while it is still in registers.
public enum Activation: String, Sendable, CaseIterable {
    /// x
    case identity
    /// max(x, 0)
    case relu
    /// 1 / (1 + e⁻ˣ)
    case sigmoid
    /// tanh x
    case tanh
}

/// How the operands of a product are taken. Sums are always float32.
public enum ProductPrecision: String, Sendable, CaseIterable {
    /// As they are; a device may split every number into parts that keep 22 bits of each product together.
    case float32
    /// Rounded to bfloat16, ties to even: 8 significant bits, the range of float32.
    case bfloat16
}

/// `output = activation(alpha · op(a) · op(b) + beta · output + bias)`.
///
/// With `beta == 0` the output is never read. The bias, when there is one, is a row added to every row.
public struct Gemm: Sendable {
    public let a: Matrix
    public let transposeA: Bool
    public let b: Matrix
    public let transposeB: Bool
    public let alpha: Float
    public let beta: Float
    public let bias: Matrix?
    public let activation: Activation
    public let precision: ProductPrecision
    public let output: Matrix

    /// `output = a · b`, unchecked.
    package static func plain(_ a: Matrix, _ b: Matrix, precision: ProductPrecision, into output: Matrix) -> Gemm {
        Gemm(
            a: a, transposeA: false, b: b, transposeB: false, alpha: 1, beta: 0, bias: nil, activation: .identity,
            precision: precision, output: output)
    }

    /// Rows of the output.
    public var m: Int { output.rows }
    /// Columns of the output.
    public var n: Int { output.columns }
    /// Length of the sums.
    public var k: Int { transposeA ? a.rows : a.columns }
}

/// `output = inputᵀ · input`, d × d, both triangles. Sums of chunks of rows are added up in wider precision.
public struct Gram: Sendable {
    /// n × d
    public let input: Matrix
    /// d × d
    public let output: Matrix
}

/// `output = alpha · sparse · dense + beta · output`. With `beta == 0` the output is never read.
public struct SparseTimesDense: Sendable {
    /// m × n
    public let sparse: SparseMatrix
    /// n × d
    public let dense: Matrix
    public let alpha: Float
    public let beta: Float
    /// m × d
    public let output: Matrix
}

/// `output[j] = Σ_i input[i, j]`, accumulated in wider precision.
public struct ColumnSums: Sendable {
    /// n × d
    public let input: Matrix
    /// 1 × d
    public let output: Matrix
}

/// `output[i] = ‖input[i, :]‖²` or its root.
public struct RowNorms: Sendable {
    /// n × d
    public let input: Matrix
    /// The squared norm instead of the norm.
    public let squared: Bool
    /// 1 × n
    public let output: Matrix
}

/// `output[i, :] = input[i, :] · factors[i]`, or `/ factors[i]` with a factor of 0 giving 0. May work in place.
public struct ScaleRows: Sendable {
    /// n × d
    public let input: Matrix
    /// 1 × n
    public let factors: Matrix
    public let divide: Bool
    /// n × d
    public let output: Matrix
}

/// `output[i, j] = Philox(seed, stream).uniform(start + i · columns + j)`: the same bits on every device.
public struct RandomUniform: Sendable {
    public let seed: UInt64
    public let stream: UInt64
    public let start: UInt64
    public let output: Matrix
}

/// `output[e] = sparse.values[e] − rowOffset[row of e] − columnOffset[column of e] − constant`, for every entry e of
/// the rows of `sparse`, at the entry's own position: what is left for the factors to explain when biases are known.
public struct ResidualTargets: Sendable {
    public let sparse: SparseMatrix
    /// 1 × rows, or nil for 0.
    public let rowOffset: Matrix?
    /// 1 × columns, or nil for 0.
    public let columnOffset: Matrix?
    public let constant: Float
    /// 1 × as many elements as `sparse.values`.
    public let output: Matrix
}

/// For each row i: `output[i] = Σ_e w_e · (t_e − a_i · b_col(e))²` over the row's entries.
public struct ObservedLoss: Sendable {
    /// m × n; its values are the weights w.
    public let sparse: SparseMatrix
    /// t, 1 × as many elements as `sparse.values`; nil stands for 1.
    public let targets: Matrix?
    /// Whether the values weigh the squares; otherwise every weight is 1.
    public let weighted: Bool
    /// m × d
    public let a: Matrix
    /// n × d
    public let b: Matrix
    /// 1 × m
    public let output: Matrix
}

/// `output[e] = a[rowIndices[e], :] · b[columnIndices[e], :]`; an index outside its table gives NaN.
public struct ObservedScores: Sendable {
    /// 1 × p, int32
    public let rowIndices: Matrix
    /// 1 × p, int32
    public let columnIndices: Matrix
    /// m × d
    public let a: Matrix
    /// n × d
    public let b: Matrix
    /// 1 × p
    public let output: Matrix
}

/// How the systems of ``SolveNormalEquations`` are solved.
public enum NormalEquationMethod: Sendable, Equatable {
    /// Cholesky of the smaller of the d × d primal and the n × n dual (Woodbury) system of each row.
    case exact
    /// One pass of Newton steps over blocks of `blockSize` coordinates, from the present solution (iALS++).
    case subspace(blockSize: Int)
    /// `steps` preconditioned conjugate-gradient steps from the present solution.
    case conjugateGradient(steps: Int)
}

/// For each row u of `sparse`, with entries e of weight w_e, target t_e and fixed row v_e = fixed[column of e]:
///
///     (diag(diagonal + rowRegularization[u]) + Σ_e w_e v_e v_eᵀ) · solution[u] = Σ_e w_e t_e v_e
///
/// `diagonal` is the part of the matrix that all rows share, α₀ times the eigenvalues of the Gram matrix, in whose
/// basis `fixed` has been rotated. A row without entries gets 0. Weights must not be negative; weight 0 is no entry.
public struct SolveNormalEquations: Sendable {
    /// m × n; its values are the weights w.
    public let sparse: SparseMatrix
    /// Whether the values are the weights; otherwise every weight is 1.
    public let weighted: Bool
    /// t, 1 × as many elements as `sparse.values`; nil stands for 1.
    public let targets: Matrix?
    /// n × d
    public let fixed: Matrix
    /// 1 × d; the sum with `rowRegularization` must be positive.
    public let diagonal: Matrix
    /// 1 × m
    public let rowRegularization: Matrix
    public let method: NormalEquationMethod
    /// m × d; read first by the methods that start from the present solution.
    public let solution: Matrix
}

/// For each row of `queries` the `k` rows of `candidates` with the largest
/// `queries[i] · candidates[j] + candidateBias[j]`, best first, equal scores by ascending index.
///
/// Candidates listed in row i of `exclusions`, and those whose score is −∞ or NaN, are left out; places that stay
/// empty hold index −1 and score −∞.
public struct TopK: Sendable {
    /// m × d
    public let queries: Matrix
    /// n × d
    public let candidates: Matrix
    /// 1 × n, or nil for 0; −∞ takes a candidate out for every query.
    public let candidateBias: Matrix?
    /// m × n, or nil; only its pattern counts.
    public let exclusions: SparseMatrix?
    /// m × k, int32
    public let indices: Matrix
    /// m × k, float32
    public let scores: Matrix
    /// The candidates once more, in 8 bits, for devices that can rule some out by them.
    public let rounded: RoundedCandidates?

    /// Number of places.
    public var k: Int { indices.columns }
}
