// Data a prekeys observer could report: a quiet new server, a busy one, one in trouble. Made from a
// seeded generator, so that pictures and counts repeat.

const kStepMs = 5000;
const kBuckets = 360;
const kSuites = ['x3dh-ed25519', 'pqxdh-ed25519', 'pqxdh-xeddsa', 'x3dh-xeddsa'];
const kLimits = ['register', 'fetch', 'target', 'pair', 'replenish'];

export function randomFrom(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
}

export const hex16 = (random) =>
    Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join('');

const zeros = (names) => Object.fromEntries(names.map((name) => [name, 0]));

function emptyCounters() {
    const names = ['registered', 'fetched', 'issued', 'exhausted', 'withheld', 'replenished'];
    names.push('rotated', 'deleted', 'replaysRejected', 'authFailures', 'identityConflicts');
    names.push('depletionSuspected', 'purged');
    return { ...zeros(names), rateLimited: zeros(kLimits) };
}

function emptyHistory(now) {
    const names = ['fetches', 'issued', 'exhausted', 'withheld', 'registrations', 'rateLimited'];
    const series = [...names, 'oneTimePreKeys', 'kemOneTimePreKeys'];
    const columns = series.map((name) => [name, Array(kBuckets).fill(0)]);
    const end = (Math.floor(now / kStepMs) + 1) * kStepMs;
    return { stepMs: kStepMs, end, ...Object.fromEntries(columns) };
}

export function emptyWorld(now) {
    return {
        startedAt: now - 40_000,
        storage: { kind: 'sqlite', healthy: true, trouble: null },
        totals: {
            identities: 0,
            identitiesBySuite: zeros(kSuites),
            oneTimePreKeys: 0,
            kemOneTimePreKeys: 0,
            belowLowThreshold: 0,
            exhausted: 0,
            lowThreshold: 20,
        },
        counters: emptyCounters(),
        lowStock: [],
        cleanup: {
            staleDays: 30,
            intervalHours: 24,
            lastRunAt: now - 39_000,
            lastPurged: 0,
            dryRun: false,
        },
        keyTransparency: { treeSize: 0, checkpointAt: null },
        history: emptyHistory(now),
    };
}

// Two hours of traffic with waves in it; `burst` adds a drain in the last minutes.
function fillHistory(world, random, burst) {
    const { history } = world;
    let stock = 41_000;
    let kemStock = 17_500;
    for (let index = 0; index < kBuckets; index += 1) {
        const wave = 1 + Math.sin(index / 38) * 0.45 + Math.sin(index / 9) * 0.15;
        const inBurst = burst && index > kBuckets - 70;
        const fetches = Math.round(wave * 16 + random() * 6 + (inBurst ? 22 + random() * 12 : 0));
        const withheld = inBurst ? Math.round(fetches * 0.55) : Math.round(random() * 0.7);
        const exhausted = inBurst ? Math.round(random() * 4) : Math.round(random() * 0.55);
        const issued = fetches - withheld - exhausted;
        history.fetches[index] = fetches;
        history.withheld[index] = withheld;
        history.exhausted[index] = exhausted;
        history.issued[index] = issued;
        history.registrations[index] = Math.round(random() * 1.6);
        history.rateLimited[index] = inBurst
            ? Math.round(random() * 9)
            : Math.round(random() * 0.6);
        stock += random() < 0.16 ? Math.round(random() * 240) : -issued;
        kemStock += random() < 0.1 ? Math.round(random() * 160) : -Math.round(issued * 0.42);
        history.oneTimePreKeys[index] = index < 20 ? -1 : stock;
        history.kemOneTimePreKeys[index] = index < 20 ? -1 : kemStock;
    }
    world.totals.oneTimePreKeys = stock;
    world.totals.kemOneTimePreKeys = kemStock;
}

function fillLowStock(world, random, now, worst) {
    world.lowStock = Array.from({ length: 50 }, (_, index) => {
        const suite = kSuites[Math.floor(random() * kSuites.length)];
        return {
            addressHash: hex16(random),
            suite,
            oneTimePreKeys: Math.max(0, Math.round(index * 1.1 - worst + random() * 2)),
            kemOneTimePreKeys: suite.startsWith('pqxdh')
                ? Math.max(0, Math.round(index * 0.7 - worst * 0.9))
                : 0,
            lastFetchAt: random() < 0.1 ? null : now - Math.round(random() * 7_200_000),
            lastOwnerActivityAt: now - Math.round(random() * 9 * 86_400_000),
        };
    });
}

export function busyWorld(now, { burst = false } = {}) {
    const random = randomFrom(7);
    const world = emptyWorld(now);
    world.startedAt = now - (3 * 86_400_000 + 4 * 3_600_000 + 11 * 60_000);
    fillHistory(world, random, burst);
    fillLowStock(world, random, now, burst ? 6 : -24);
    Object.assign(world.totals, {
        identities: 1284,
        identitiesBySuite: {
            'x3dh-ed25519': 612,
            'pqxdh-ed25519': 388,
            'pqxdh-xeddsa': 251,
            'x3dh-xeddsa': 33,
        },
        belowLowThreshold: burst ? 37 : 0,
        exhausted: burst ? 6 : 0,
    });
    Object.assign(world.counters, {
        registered: 1931,
        fetched: 482_310,
        issued: 479_021,
        exhausted: 412,
        withheld: 2877,
        replenished: 9120,
        rotated: 2204,
        deleted: 61,
        replaysRejected: burst ? 14 : 2,
        authFailures: 37,
        identityConflicts: burst ? 3 : 1,
        depletionSuspected: burst ? 2 : 0,
        purged: 118,
        rateLimited: { register: 41, fetch: 903, target: 2601, pair: 276, replenish: 4 },
    });
    world.cleanup.lastRunAt = now - 5 * 3_600_000;
    world.cleanup.lastPurged = 23;
    world.keyTransparency = { treeSize: 4196, checkpointAt: now - 94_000 };
    return world;
}

export function troubledWorld(now) {
    const world = busyWorld(now, { burst: true });
    world.storage = { kind: 'postgres', healthy: false, trouble: 'connection refused (port 5432)' };
    world.cleanup.lastRunAt = now - 61 * 3_600_000;
    return world;
}

export const worlds = { empty: emptyWorld, busy: busyWorld, troubled: troubledWorld };

// What a busy server emits, in proportion; for filling the feed.
export function randomEvent(random) {
    const addressHash = hex16(random);
    const suite = kSuites[Math.floor(random() * kSuites.length)];
    const ipPrefixHash = hex16(random);
    const remaining = Math.floor(random() * 100);
    const kem = suite.startsWith('pqxdh') ? 'one_time' : 'none';
    const pick = random();
    if (pick < 0.6) {
        const fetched = { addressHash, suite, oneTime: 'issued', kem, remaining, ipPrefixHash };
        return ['fetched', kem === 'none' ? fetched : { ...fetched, kemRemaining: remaining >> 1 }];
    }
    if (pick < 0.7) {
        return ['replenished', { addressHash, suite, count: 50 + (remaining >> 1), remaining }];
    }
    if (pick < 0.78) {
        return ['registered', { addressHash, suite, remaining }];
    }
    if (pick < 0.84) {
        return ['rate_limited', { limit: 'target', addressHash, ipPrefixHash }];
    }
    if (pick < 0.9) {
        return ['signed_prekey_rotated', { addressHash, suite }];
    }
    if (pick < 0.94) {
        return ['prekeys_low', { addressHash, suite, remaining: 19 }];
    }
    return ['kt_checkpoint', { treeSize: 4196 + Math.floor(random() * 50) }];
}

// Carries the world forward as the server does when it emits this event.
export function applyEvent(world, type, fields) {
    const { counters, totals, history } = world;
    const add = (name) => {
        history[name][kBuckets - 1] += 1;
    };
    if (type === 'fetched') {
        counters.fetched += 1;
        counters[fields.oneTime] += 1;
        add('fetches');
        add(fields.oneTime);
        totals.oneTimePreKeys -= fields.oneTime === 'issued' ? 1 : 0;
        totals.kemOneTimePreKeys -= fields.kem === 'one_time' ? 1 : 0;
    } else if (type === 'registered') {
        counters.registered += 1;
        totals.identities += 1;
        totals.identitiesBySuite[fields.suite] += 1;
        totals.oneTimePreKeys += fields.remaining ?? 0;
        add('registrations');
    } else if (type === 'rate_limited') {
        counters.rateLimited[fields.limit] += 1;
        add('rateLimited');
    } else if (type === 'replenished') {
        counters.replenished += 1;
        totals.oneTimePreKeys += fields.count ?? 0;
    } else if (type === 'signed_prekey_rotated') {
        counters.rotated += 1;
    } else if (type === 'identity_conflict') {
        counters.identityConflicts += 1;
    } else if (type === 'depletion_suspected') {
        counters.depletionSuspected += 1;
    } else if (type === 'replay_rejected') {
        counters.replaysRejected += 1;
    } else if (type === 'kt_checkpoint') {
        world.keyTransparency = { treeSize: fields.treeSize, checkpointAt: Date.now() };
    }
}

// Moves the buckets on to the present.
export function advanceHistory(world, now) {
    const { history } = world;
    while (history.end <= now) {
        for (const [name, column] of Object.entries(history)) {
            if (Array.isArray(column)) {
                column.shift();
                const gauge = name === 'oneTimePreKeys' || name === 'kemOneTimePreKeys';
                column.push(gauge ? world.totals[name] : 0);
            }
        }
        history.end += history.stepMs;
    }
    history.oneTimePreKeys[kBuckets - 1] = world.totals.oneTimePreKeys;
    history.kemOneTimePreKeys[kBuckets - 1] = world.totals.kemOneTimePreKeys;
}
