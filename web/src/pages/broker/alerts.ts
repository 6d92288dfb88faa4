// What deserves an operator's attention now, worst first.
import { sumOver } from '../../live/history.ts';
import { type Alert, worstFirst } from '../../ui/alerts.ts';
import { ageInWords, formatCount, hour, minute, plural } from '../../ui/format.ts';
import type { Model } from './model.ts';

const recentMs = 5 * minute;
// An envelope may wait a week for its receiver; a day is worth a word.
const oldMs = 24 * hour;
const nearlyFull = 0.9;

export function alertsOf(model: Model, now: number): Alert[] {
    return worstFirst([
        ...storageAlerts(model),
        ...queueAlerts(model, now),
        ...slowAlerts(model),
        ...capacityAlerts(model),
        ...refusalAlerts(model),
    ]);
}

function storageAlerts({ state }: Model): Alert[] {
    const { healthy, trouble, kind } = state.figures.storage;
    if (healthy) {
        return [];
    }
    return [
        {
            id: 'storage',
            severity: 'critical',
            title: 'Storage is failing',
            detail:
                `${kind}: ${trouble ?? 'no reason was given'}. ` +
                'Sends and new peers are refused until it recovers; nothing already acknowledged is lost.',
        },
    ];
}

function queueAlerts({ state }: Model, now: number): Alert[] {
    const { figures, limits } = state;
    const alerts: Alert[] = [];
    if (figures.overLimit > 0) {
        alerts.push({
            id: 'over-limit',
            severity: 'warning',
            title: `Too much waits for ${plural(figures.overLimit, 'key', 'keys')}`,
            detail: `More than ${formatCount(limits.queuedPerKey)} envelopes each; further ones are refused as queue_full. The receiver is away, or takes less than it is sent.`,
        });
    }
    if (limits.storing > 0 && figures.storing > limits.storing / 2) {
        alerts.push({
            id: 'storing',
            severity: 'warning',
            title: 'The database takes less than is sent',
            detail: `${plural(figures.storing, 'send waits', 'sends wait')} for it; at ${formatCount(limits.storing)} further ones are refused as busy.`,
        });
    }
    if (figures.oldestAt !== null && now - figures.oldestAt > oldMs) {
        alerts.push({
            id: 'old',
            severity: 'notice',
            title: `The oldest envelope waits for ${ageInWords(now - figures.oldestAt)}`,
            detail: 'Its receiver has not been there, or has not let it through. It is dropped when its time is over (BROKER_MESSAGE_TTL_HOURS).',
        });
    }
    return alerts;
}

function slowAlerts({ state }: Model): Alert[] {
    const slow = state.peers.filter((peer) => peer.slow);
    if (slow.length === 0) {
        return [];
    }
    const names = slow.slice(0, 3).map((peer) => peer.name);
    return [
        {
            id: 'slow',
            severity: 'warning',
            title: plural(slow.length, 'slow consumer', 'slow consumers'),
            detail:
                `${names.join(', ')}${slow.length > names.length ? ' and others' : ''}: pushes stay unanswered. ` +
                'What is sent to them waits in the queue; nothing is lost.',
        },
    ];
}

function capacityAlerts({ state }: Model): Alert[] {
    const full = state.meshes.filter(
        (mesh) => mesh.capacity > 0 && mesh.connected >= nearlyFull * mesh.capacity,
    );
    const [first] = full;
    if (first === undefined) {
        return [];
    }
    return [
        {
            id: 'capacity',
            severity: 'warning',
            title: `${plural(full.length, 'mesh is', 'meshes are')} nearly full`,
            detail: `${first.slug}: ${formatCount(first.connected)} of ${formatCount(first.capacity)} places are taken. Further peers are refused; the limit is MAX_CONNECTIONS_PER_MESH.`,
        },
    ];
}

function refusalAlerts({ state }: Model): Alert[] {
    const rejected = sumOver(state.history, 'rejected', recentMs);
    const delivered = sumOver(state.history, 'pushed', recentMs);
    if (rejected < 20 || rejected < delivered / 10) {
        return [];
    }
    return [
        {
            id: 'rejected',
            severity: 'notice',
            title: 'Many messages are rejected',
            detail: `${formatCount(rejected)} in the last five minutes, beside ${plural(delivered, 'delivery', 'deliveries')}. The reasons stand below.`,
        },
    ];
}
