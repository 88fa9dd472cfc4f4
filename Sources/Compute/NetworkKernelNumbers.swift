// The numbers by which the kernels of kernels/network_*.cl know functions and methods: for backends.

extension ActivationFunction {
    /// The number in network_layers.cl.
    public var number: Int32 {
        switch self {
        case .identity: 0
        case .relu: 1
        case .sigmoid: 2
        case .tanh: 3
        case .gelu: 4
        case .silu: 5
        case .softmax: 6
        }
    }
}

extension ElementLossFunction {
    /// Number and parameter in network_layers.cl.
    public var arguments: (kind: Int32, parameter: Float) {
        switch self {
        case .squared: (0, 0)
        case .logistic: (1, 0)
        case .huber(let delta): (2, delta)
        }
    }
}

extension OptimizerMethod {
    /// Number and parameters in network_optimizers.cl.
    public var arguments: (method: Int32, beta1: Float, beta2: Float, epsilon: Float) {
        switch self {
        case .gradientDescent(let momentum, let nesterov): (nesterov ? 1 : 0, momentum, 0, 0)
        case .adam(let beta1, let beta2, let epsilon): (2, beta1, beta2, epsilon)
        case .adagrad(let epsilon): (3, 0, 0, epsilon)
        }
    }
}

extension RowUpdateMethod {
    /// Number and parameters in network_embeddings.cl.
    public var arguments: (method: Int32, beta1: Float, beta2: Float, epsilon: Float) {
        switch self {
        case .add: (0, 0, 0, 0)
        case .gradientDescent: (1, 0, 0, 0)
        case .adam(let beta1, let beta2, let epsilon): (2, beta1, beta2, epsilon)
        case .adagrad(let epsilon): (3, 0, 0, epsilon)
        case .rowWiseAdagrad(let epsilon): (4, 0, 0, epsilon)
        }
    }
}

extension Attention {
    /// In network_attention.cl: 1 causal, 2 padding.
    public var flags: Int32 { (causal ? 1 : 0) + (padding == nil ? 0 : 2) }
}

extension RecurrentStepGradient {
    /// In network_recurrent.cl: 1 a step before, 2 a gradient from the step behind, 4 one of the memory.
    public var flags: Int32 {
        (previousKept == nil ? 0 : 1) + (carried == nil ? 0 : 2) + (hasMemoryGradient ? 4 : 0)
    }
}
