// Operations on single elements, for every class of device.
//
// Each kernel runs over a grid of (columns, rows). With APUS_CPU_CLASS a work-item takes a block of column_block x
// row_block elements, so that its loops become vector loops, and the work-group size is 1; otherwise neighbouring
// work-items take neighbouring columns and stride over the whole matrix.

#ifdef APUS_CPU_CLASS
#define FOR_ROWS(i, rows)                                                                        \
    for (long i = (long)get_global_id(1) * row_block, i##_end = min(rows, i + row_block); i < i##_end; ++i)
#define FOR_COLUMNS(j, columns)                                                                  \
    for (long j = (long)get_global_id(0) * column_block, j##_end = min(columns, j + column_block); j < j##_end; ++j)
#else
#define FOR_ROWS(i, rows) for (long i = get_global_id(1); i < rows; i += get_global_size(1))
#define FOR_COLUMNS(j, columns) for (long j = get_global_id(0); j < columns; j += get_global_size(0))
#endif

// The columns of a row that are done four at a time: where the addresses allow it, on devices whose memory wants more
// from a work-item than one element.
#ifdef APUS_CPU_CLASS
#define WHOLE_FOURS(address, columns) 0
#else
#define WHOLE_FOURS(address, columns) (((address) & 15) == 0 ? (columns) / 4 : 0)
#endif

// Writes one 32-bit pattern: float32 and int32 alike.
__kernel void fill(
    __global uint *output, long output_offset, long output_stride, long rows, long columns, uint pattern,
    long column_block, long row_block) {
    FOR_ROWS(i, rows) {
        __global uint *to = output + output_offset + i * output_stride;
        const long fours = WHOLE_FOURS((uintptr_t)to, columns);
        if (fours > 0) {
            FOR_COLUMNS(j, fours) ((__global uint4 *)to)[j] = (uint4)(pattern);
        }
        to += 4 * fours;
        FOR_COLUMNS(j, columns - 4 * fours) to[j] = pattern;
    }
}

// Copies 32-bit patterns.
__kernel void copy(
    __global const uint *restrict input, long input_offset, long input_stride, __global uint *restrict output,
    long output_offset, long output_stride, long rows, long columns, long column_block, long row_block) {
    FOR_ROWS(i, rows) {
        __global const uint *from = input + input_offset + i * input_stride;
        __global uint *to = output + output_offset + i * output_stride;
        const long fours = WHOLE_FOURS((uintptr_t)from | (uintptr_t)to, columns);
        if (fours > 0) {
            FOR_COLUMNS(j, fours) ((__global uint4 *)to)[j] = ((__global const uint4 *)from)[j];
        }
        from += 4 * fours;
        to += 4 * fours;
        FOR_COLUMNS(j, columns - 4 * fours) to[j] = from[j];
    }
}

// output[i, :] = table[indices[i], :], NaN for an index outside the table.
__kernel void gather(
    __global const float *restrict table, long table_offset, long table_stride, long table_rows,
    __global const int *restrict indices, long indices_offset, __global float *restrict output, long output_offset,
    long output_stride, long rows, long columns, long column_block, long row_block) {
    FOR_ROWS(i, rows) {
        const int index = indices[indices_offset + i];
        __global float *to = output + output_offset + i * output_stride;
        if (index >= 0 && index < table_rows) {
            __global const float *from = table + table_offset + (long)index * table_stride;
            FOR_COLUMNS(j, columns) to[j] = from[j];
        } else {
            FOR_COLUMNS(j, columns) to[j] = NAN;
        }
    }
}

// output[i, :] = input[i, :] * factors[i], or divided by it, a factor of 0 giving 0. Input and output may be one.
__kernel void scale_rows(
    __global const float *input, long input_offset, long input_stride, __global const float *factors,
    long factors_offset, int divide, __global float *output, long output_offset, long output_stride, long rows,
    long columns, long column_block, long row_block) {
    FOR_ROWS(i, rows) {
        const float factor = factors[factors_offset + i];
        __global const float *from = input + input_offset + i * input_stride;
        __global float *to = output + output_offset + i * output_stride;
        if (!divide) {
            FOR_COLUMNS(j, columns) to[j] = from[j] * factor;
        } else if (factor == 0.0f) {
            FOR_COLUMNS(j, columns) to[j] = 0.0f;
        } else {
            FOR_COLUMNS(j, columns) to[j] = from[j] / factor;
        }
    }
}

static uint philox(ulong index, ulong stream, uint2 key) {
    const ulong block = index >> 2;
    uint x = (uint)block, y = (uint)(block >> 32), z = (uint)stream, w = (uint)(stream >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint low0 = 0xD2511F53u * x, high0 = mul_hi(0xD2511F53u, x);
        const uint low1 = 0xCD9E8D57u * z, high1 = mul_hi(0xCD9E8D57u, z);
        x = high1 ^ y ^ key.x;
        z = high0 ^ w ^ key.y;
        y = low1;
        w = low0;
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    // Two choices of two: a choice of four becomes a switch, which Oclgrind takes the wrong way.
    const uint first = index & 1 ? y : x;
    const uint second = index & 1 ? w : z;
    return index & 2 ? second : first;
}

#ifdef APUS_CPU_CLASS
// The 64 uniforms of sixteen blocks that follow each other, one block in each lane.
static void philox_blocks(ulong block, ulong stream, uint2 key, __global float *to) {
    const ulong16 blocks = block + (ulong16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint16 x = convert_uint16(blocks & 0xFFFFFFFFul), y = convert_uint16(blocks >> 32);
    uint16 z = (uint16)((uint)stream), w = (uint16)((uint)(stream >> 32));
    for (int round = 0; round < 10; ++round) {
        const ulong16 first = 0xD2511F53ul * convert_ulong16(x), second = 0xCD9E8D57ul * convert_ulong16(z);
        x = convert_uint16(second >> 32) ^ y ^ key.x;
        z = convert_uint16(first >> 32) ^ w ^ key.y;
        y = convert_uint16(second & 0xFFFFFFFFul);
        w = convert_uint16(first & 0xFFFFFFFFul);
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    const float16 a = convert_float16(x >> 8) * 0x1p-24f, b = convert_float16(y >> 8) * 0x1p-24f;
    const float16 c = convert_float16(z >> 8) * 0x1p-24f, d = convert_float16(w >> 8) * 0x1p-24f;
#define BLOCKS_OF_FOUR(i, j, k, l)                                                                                     \
    (float16)(a.s##i, b.s##i, c.s##i, d.s##i, a.s##j, b.s##j, c.s##j, d.s##j, a.s##k, b.s##k, c.s##k, d.s##k, a.s##l,  \
              b.s##l, c.s##l, d.s##l)
    vstore16(BLOCKS_OF_FOUR(0, 1, 2, 3), 0, to);
    vstore16(BLOCKS_OF_FOUR(4, 5, 6, 7), 1, to);
    vstore16(BLOCKS_OF_FOUR(8, 9, a, b), 2, to);
    vstore16(BLOCKS_OF_FOUR(c, d, e, f), 3, to);
}
#endif

// Philox4x32-10 uniforms in [0, 1), to the bit those of the host.
__kernel void random_uniform(
    ulong seed, ulong stream, ulong start, __global float *output, long output_offset, long output_stride, long rows,
    long columns, long column_block, long row_block) {
    const uint2 key = (uint2)((uint)seed, (uint)(seed >> 32));
    FOR_ROWS(i, rows) {
        __global float *to = output + output_offset + i * output_stride;
#ifdef APUS_CPU_CLASS
        const long last = min(columns, ((long)get_global_id(0) + 1) * column_block);
        for (long j = get_global_id(0) * column_block; j < last;) {
            const ulong place = start + (ulong)(i * columns + j);
            if (place % 4 == 0 && j + 64 <= last) {
                philox_blocks(place / 4, stream, key, to + j);
                j += 64;
            } else {
                to[j++] = (float)(philox(place, stream, key) >> 8) * 0x1p-24f;
            }
        }
#else
        FOR_COLUMNS(j, columns) {
            to[j] = (float)(philox(start + (ulong)(i * columns + j), stream, key) >> 8) * 0x1p-24f;
        }
#endif
    }
}

// output[e] = values[e] - row_offset[row] - column_offset[column] - common for the entries e of every row.
// One work-item per row of a block; rows differ in length, so the columns are not cut.
__kernel void residual_targets(
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global const float *values, long values_offset, __global const float *row_offset,
    long row_offset_offset, __global const float *column_offset, long column_offset_offset, int flags, float common,
    __global float *output, long output_offset, long rows, long columns, long column_block, long row_block) {
    FOR_ROWS(i, rows) {
        __global const long *pointer = row_pointers + row_pointers_offset + i;
        const float shift = (flags & 1 ? row_offset[row_offset_offset + i] : 0.0f);
#ifdef APUS_CPU_CLASS
        for (long e = pointer[0]; e < pointer[1]; ++e) {
#else
        for (long e = pointer[0] + get_global_id(0); e < pointer[1]; e += get_global_size(0)) {
#endif
            const int column = column_indices[column_indices_offset + e];
            const float other = flags & 2 ? column_offset[column_offset_offset + column] : 0.0f;
            output[output_offset + e] = values[values_offset + e] - shift - other - common;
        }
    }
}
