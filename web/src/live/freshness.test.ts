import { expect, it } from 'vitest';
import { freshness } from './freshness.ts';
import { RequestFailure } from './http.ts';
import type { ConnectionStatus } from './live_session.ts';

const now = 1_000_000;

function status(change: Partial<ConnectionStatus>): ConnectionStatus {
    return {
        phase: 'live',
        lastContactAt: now,
        stateAt: now,
        nextAttemptAt: null,
        trouble: null,
        ...change,
    };
}

it('is loading until the first state', () => {
    expect(freshness(status({ stateAt: null, phase: 'connecting' }), now).level).toBe('loading');
});

it('is live while the stream is open and the state is young', () => {
    expect(freshness(status({ stateAt: now - 20_000 }), now)).toEqual({
        level: 'live',
        label: 'Live',
        banner: null,
    });
});

it('makes no banner of a short break', () => {
    const report = freshness(status({ phase: 'waiting', lastContactAt: now - 2000 }), now);
    expect(report).toMatchObject({ level: 'interrupted', banner: null });
});

it('says how old the figures are, why, and when it tries again', () => {
    const report = freshness(
        status({
            phase: 'waiting',
            lastContactAt: now - 42_000,
            nextAttemptAt: now + 7200,
            trouble: new RequestFailure('unreachable', 'The server does not answer.'),
        }),
        now,
    );
    expect(report.level).toBe('stale');
    expect(report.banner).toBe(
        'These figures are 42 seconds old. The server does not answer. Next attempt in 8 s.',
    );
});

it('counts the age on while an attempt hangs', () => {
    const report = freshness(status({ phase: 'connecting', lastContactAt: now - 130_000 }), now);
    expect(report.banner).toBe(
        'These figures are 2 minutes old. The connection was closed. Trying again now.',
    );
});

it('tells when events arrive but the state does not', () => {
    const report = freshness(
        status({
            stateAt: now - 65_000,
            trouble: new RequestFailure('refused', 'The server answered 503.'),
        }),
        now,
    );
    expect(report.level).toBe('stale');
    expect(report.banner).toContain('the totals are 1 minute old: The server answered 503.');
});
