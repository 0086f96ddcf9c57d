/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include "engine/gemma3n/rope.h"

Test(rope, gives_the_angles_of_the_formula_up_to_the_last_position)
{
    const float bases[] = { 1e4f, 1e6f }, scales[] = { 1.0f, 8.0f };

    for (int b = 0; b < 2; b++)
        for (int s = 0; s < 2; s++) {
            struct rope r;
            float c[128], si[128];
            rope_init(&r, bases[b], scales[s], 256);
            for (uint32_t position = 0; position < 1 << 20; position = position * 3 + 1) {
                rope_angles(&r, position, c, si);
                for (uint32_t i = 0; i < 128; i++) {
                    const double angle =
                        position * pow((double)bases[b], -2.0 * i / 256) / (double)scales[s];
                    /* double rounding of an angle of up to 1e6 leaves 1e-10; float32 rounding adds 6e-8 */
                    cr_assert_float_eq(c[i], cos(angle), 7e-8, "position %u, angle %u", position,
                                       i);
                    cr_assert_float_eq(si[i], sin(angle), 7e-8);
                }
            }
        }
}
