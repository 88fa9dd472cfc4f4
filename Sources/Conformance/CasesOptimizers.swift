import Compute

/// Steps of optimizers.
enum OptimizerCases {
    private static let methods: [OptimizerMethod] = [
        .gradientDescent(momentum: 0, nesterov: false), .gradientDescent(momentum: 0.9, nesterov: false),
        .gradientDescent(momentum: 0.5, nesterov: true), .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8),
        .adagrad(epsilon: 1e-10),
    ]

    /// Rate, c₁, c₂, factor.
    static let controls: [Float] = [0.01, 1 / (1 - 0.729), 1.2, 0.5]

    static func oracle(_ controls: [Float], factor: Double) -> Oracle.Controls {
        (Double(controls[0]), Double(controls[1]), Double(controls[2]), factor)
    }

    static func optimizerStep(_ sweep: Sweep) -> [ConformanceCase] {
        var sizes = Set(sweep.sizes).subtracting([0]).sorted()
        sizes += sweep == .minimal ? [] : [4095, 4097, 8192]
        if sweep == .full { sizes += [100_001] }
        return sizes.enumerated().flatMap { index, n in
            methods.enumerated().filter { sweep == .full || ($0.offset + index) % 2 == 0 }.map {
                let method = $0.element
                let regularized = (index + $0.offset) % 3 == 0
                let clip = (index + $0.offset) % 4
                return ConformanceCase(
                    .optimizerStep,
                    "\(method) of \(n)\(regularized ? " regularized" : "")"
                        + ["", " clipped", " not clipped", ""][clip]
                ) { run throws(ComputeError) in
                    try optimizerStep(run, method, n: n, regularized: regularized, clip: clip)
                }
            }
        }
    }

    private static func optimizerStep(
        _ run: CaseRun, _ method: OptimizerMethod, n: Int, regularized: Bool, clip: Int
    ) throws(ComputeError) {
        let (values, gradients) = (run.uniform(n), run.uniform(n))
        let (firsts, seconds) = (run.uniform(n), run.uniform(n, 0.001, 1))
        let (needsFirst, needsSecond) =
            switch method {
            case .gradientDescent(let momentum, _): (momentum != 0, false)
            case .adam: (true, true)
            case .adagrad: (false, true)
            }
        let parameters = try run.output(rows: 1, columns: n, .padded, initial: values, "parameters")
        let gradient = try run.vector(gradients, .padded, "gradient")
        let first = needsFirst ? try run.output(rows: 1, columns: n, initial: firsts, "first") : nil
        let second = needsSecond ? try run.output(rows: 1, columns: n, .aligned, initial: seconds, "second") : nil
        let controls = try run.vector(Self.controls, .padded, "controls")
        let length: Float = 10
        let norm = clip == 1 || clip == 2 ? try run.vector([length], .padded, "norm") : nil
        let largest: Float = clip == 1 ? 2 : 100
        let (l1, l2, decay): (Float, Float, Float) = regularized ? (0.01, 0.1, 0.2) : (0, 0, 0)
        run.work = Double(20 * n)
        try run.perform { stream throws(ComputeError) in
            try stream.optimizerStep(
                method, parameters: parameters.matrix, gradient: gradient.matrix, first: first?.matrix,
                second: second?.matrix, controls: controls.matrix, norm: norm?.matrix, largestNorm: largest, l1: l1,
                l2: l2, decay: decay)
        }
        var factor = Double(Self.controls[3])
        if clip == 1 { factor *= Double(largest) / (Double(length) * factor) }
        let expected = (0..<n).map { index in
            let g = Double(gradients[index]) * factor
            return Oracle.step(
                method,
                Oracle.OptimizedParameter(
                    value: Double(values[index]), first: Double(firsts[index]), second: Double(seconds[index])),
                gradient: g, gradientError: 6 * abs(g), controls: oracle(Self.controls, factor: factor),
                l1: Double(l1), l2: Double(l2), decay: Double(decay))
        }
        run.compare(parameters, expected.map(\.value)) { Tolerance.unit * (expected[$0].valueError + 1e-6) }
        if let first { run.compare(first, expected.map(\.first)) { Tolerance.unit * expected[$0].firstError } }
        if let second { run.compare(second, expected.map(\.second)) { Tolerance.unit * expected[$0].secondError } }
    }
}
