// Steps of optimizers on vectors of parameters.

#define NET_OPTIMIZER_BLOCK 4096

NET_FUNCTION float net_sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }

// One step of an optimizer on a vector of n parameters; a row is a block of them. method: 0 gradient descent with
// momentum, 1 the same after Nesterov, 2 Adam, 3 Adagrad. controls: learning rate, 1 / (1 - beta1^t),
// 1 / sqrt(1 - beta2^t), factor of the gradient. flags: 1 clip to a norm.
NET_KERNEL(optimizer_step)(
    NET_VECTOR(float, parameters), NET_VECTOR(const float, gradient), NET_VECTOR(float, first), NET_VECTOR(float, second),
    NET_VECTOR(const float, controls), NET_VECTOR(const float, norm), int flags, int method, float beta1, float beta2,
    float epsilon, float l1, float l2, float decay, float largest_norm, long n, NET_RANGE) {
    const float rate = NET_BASE(controls)[0];
    const float correction1 = NET_BASE(controls)[1];
    const float correction2 = NET_BASE(controls)[2];
    float factor = NET_BASE(controls)[3];
    if (flags & 1) {
        const float length = NET_BASE(norm)[0] * NET_FABS(factor);
        if (length > largest_norm) factor *= largest_norm / length;
    }
    NET_ROWS(i) {
        const long begin_element = i * NET_OPTIMIZER_BLOCK;
        const long count = n - begin_element < NET_OPTIMIZER_BLOCK ? n - begin_element : NET_OPTIMIZER_BLOCK;
        __global float *p = NET_BASE(parameters) + begin_element;
        const __global float *gradients = NET_BASE(gradient) + begin_element;
        __global float *m = NET_BASE(first) + begin_element;
        __global float *v = NET_BASE(second) + begin_element;
        if (method == 2) {
            NET_LANES(j, count) {
                const float old = p[j];
                const float g = gradients[j] * factor + l2 * old + l1 * net_sign(old);
                const float mean = beta1 * m[j] + (1.0f - beta1) * g;
                const float square = beta2 * v[j] + (1.0f - beta2) * g * g;
                m[j] = mean;
                v[j] = square;
                p[j] = old - rate * decay * old
                    - rate * correction1 * mean / (NET_SQRT(square) * correction2 + epsilon);
            }
        } else if (method == 3) {
            NET_LANES(j, count) {
                const float old = p[j];
                const float g = gradients[j] * factor + l2 * old + l1 * net_sign(old);
                const float square = v[j] + g * g;
                v[j] = square;
                p[j] = old - rate * decay * old - rate * g / (NET_SQRT(square) + epsilon);
            }
        } else if (beta1 == 0.0f) {
            NET_LANES(j, count) {
                const float old = p[j];
                p[j] = old - rate * decay * old - rate * (gradients[j] * factor + l2 * old + l1 * net_sign(old));
            }
        } else {
            NET_LANES(j, count) {
                const float old = p[j];
                const float g = gradients[j] * factor + l2 * old + l1 * net_sign(old);
                const float velocity = beta1 * m[j] + g;
                m[j] = velocity;
                p[j] = old - rate * decay * old - rate * (method == 1 ? g + beta1 * velocity : velocity);
            }
        }
    }
}
