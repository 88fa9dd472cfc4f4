// Images as matrices: a row is a pixel, its columns the channels, and pixels follow each other row by row and image by
// image. Windows of a picture become rows of a product; network_common.cl describes the vocabulary.
//
// A grid is: height and width of the input, of the window, of the output; stride; zeroes above and below the
// input, and beside it.

#define NET_GRID \
    long height, long width, long window_height, long window_width, long output_height, long output_width, \
    long step, long above, long padding

// output[b, y, x][tap, c] = input[b, y step - above + tap_y, x step - padding + tap_x][c], 0 outside.
NET_KERNEL(unfold)(
    NET_MATRIX(const float, input), NET_MATRIX(float, output), long channels, NET_GRID, NET_RANGE) {
    NET_ROWS(i) {
        const long x = i % output_width, rest = i / output_width, y = rest % output_height, image = rest / output_height;
        __global float *to = NET_ROW(output, i);
        for (long v = 0; v < window_height; ++v) {
            const long row = y * step - above + v;
            for (long u = 0; u < window_width; ++u, to += channels) {
                const long column = x * step - padding + u;
                if (row < 0 || row >= height || column < 0 || column >= width) {
                    NET_LANES(c, channels) to[c] = 0.0f;
                } else {
                    const __global float *from = NET_ROW(input, (image * height + row) * width + column);
                    NET_LANES(c, channels) to[c] = from[c];
                }
            }
        }
    }
}

// The gradient of the input of `unfold`: for each pixel, the sum over the windows that hold it.
NET_KERNEL(fold)(
    NET_MATRIX(const float, windows), NET_MATRIX(float, output), long channels, NET_GRID, NET_RANGE) {
    NET_ROWS(i) {
        const long x = i % width, rest = i / width, y = rest % height, image = rest / height;
        __global float *to = NET_ROW(output, i);
        NET_LANES(c, channels) to[c] = 0.0f;
        for (long v = 0; v < window_height; ++v) {
            const long top = y + above - v;
            if (top < 0 || top % step != 0 || top / step >= output_height) continue;
            for (long u = 0; u < window_width; ++u) {
                const long left = x + padding - u;
                if (left < 0 || left % step != 0 || left / step >= output_width) continue;
                const __global float *from =
                    NET_ROW(windows, (image * output_height + top / step) * output_width + left / step)
                    + (v * window_width + u) * channels;
                NET_LANES(c, channels) to[c] += from[c];
            }
        }
    }
}

// output[b, y, x][c] = the largest of a window, and its place in it (the first of equals, and NaN before all); or, with
// `averages`, the mean of the pixels that are within the input.
NET_KERNEL(pool)(
    NET_MATRIX(const float, input), NET_MATRIX(float, output), NET_MATRIX(int, places), long channels, NET_GRID,
    int averages, NET_RANGE) {
    NET_ROWS(i) {
        const long x = i % output_width, rest = i / output_width, y = rest % output_height, image = rest / output_height;
        __global float *to = NET_ROW(output, i);
        __global int *place = NET_ROW(places, i);
        long first_row = y * step - above, last_row = first_row + window_height;
        long first_column = x * step - padding, last_column = first_column + window_width;
        const long top = first_row, left = first_column;
        first_row = first_row < 0 ? 0 : first_row;
        first_column = first_column < 0 ? 0 : first_column;
        last_row = last_row > height ? height : last_row;
        last_column = last_column > width ? width : last_column;
        if (averages) {
            const float share = 1.0f / (float)((last_row - first_row) * (last_column - first_column));
            NET_LANES(c, channels) to[c] = 0.0f;
            for (long v = first_row; v < last_row; ++v) {
                for (long u = first_column; u < last_column; ++u) {
                    const __global float *from = NET_ROW(input, (image * height + v) * width + u);
                    NET_LANES(c, channels) to[c] += from[c];
                }
            }
            NET_LANES(c, channels) to[c] *= share;
            continue;
        }
        NET_LANES(c, channels) {
            to[c] = -INFINITY;
            place[c] = -1;
        }
        for (long v = first_row; v < last_row; ++v) {
            for (long u = first_column; u < last_column; ++u) {
                const __global float *from = NET_ROW(input, (image * height + v) * width + u);
                const int here = (int)((v - top) * window_width + u - left);
                NET_LANES(c, channels) {
                    const float value = from[c], best = to[c];
                    const int better = value > best || place[c] < 0 || (value != value && best == best);
                    to[c] = better ? value : best;
                    place[c] = better ? here : place[c];
                }
            }
        }
    }
}

// The gradient of the input of `pool`: for each pixel, what the windows that hold it give back.
NET_KERNEL(pool_gradient)(
    NET_MATRIX(const float, output_gradient), NET_MATRIX(const int, places), NET_MATRIX(float, input_gradient),
    long channels, NET_GRID, int averages, NET_RANGE) {
    NET_ROWS(i) {
        const long x = i % width, rest = i / width, y = rest % height, image = rest / height;
        __global float *to = NET_ROW(input_gradient, i);
        NET_LANES(c, channels) to[c] = 0.0f;
        for (long v = 0; v < window_height; ++v) {
            const long top = y + above - v;
            if (top < 0 || top % step != 0 || top / step >= output_height) continue;
            for (long u = 0; u < window_width; ++u) {
                const long left = x + padding - u;
                if (left < 0 || left % step != 0 || left / step >= output_width) continue;
                const long window = (image * output_height + top / step) * output_width + left / step;
                const __global float *from = NET_ROW(output_gradient, window);
                if (averages) {
                    long first_row = top - above, last_row = first_row + window_height;
                    long first_column = left - padding, last_column = first_column + window_width;
                    first_row = first_row < 0 ? 0 : first_row;
                    first_column = first_column < 0 ? 0 : first_column;
                    last_row = last_row > height ? height : last_row;
                    last_column = last_column > width ? width : last_column;
                    const float share = 1.0f / (float)((last_row - first_row) * (last_column - first_column));
                    NET_LANES(c, channels) to[c] += share * from[c];
                } else {
                    const __global int *place = NET_ROW(places, window);
                    const int here = (int)(v * window_width + u);
                    NET_LANES(c, channels) to[c] += place[c] == here ? from[c] : 0.0f;
                }
            }
        }
    }
}
