import { expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';

it('doubles from half a second to half a minute and stays there', () => {
    const longest = [0, 1, 2, 5, 6, 40].map((attempt) => backoffMs(attempt, () => 1));
    expect(longest).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000]);
});

it('draws from the upper half of the wait', () => {
    expect(backoffMs(3, () => 0)).toBe(2000);
    expect(backoffMs(3, () => 0.999)).toBeLessThanOrEqual(4000);
});
