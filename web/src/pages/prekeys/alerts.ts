// What deserves an operator's attention now, worst first. Each alert says what is the case, what it
// means, and what can be done. Things that happened (a refused takeover, a suspected drain) stay for
// half an hour after the last time; things that are so (empty stock, failing storage) stay while they
// are.
import { ageInWords, formatCount, formatPercent, hour, minute, plural } from '../../ui/format.ts';
import { sumOver } from '../../live/history.ts';
import { type Alert, worstFirst } from '../../ui/alerts.ts';
import type { Model } from './model.ts';

const recentMs = 30 * minute;
const trafficMs = 5 * minute;

export function alertsOf(model: Model, now: number): Alert[] {
    return worstFirst([
        ...storageAlerts(model),
        ...attackAlerts(model, now),
        ...stockAlerts(model),
        ...trafficAlerts(model),
        ...upkeepAlerts(model, now),
    ]);
}

function storageAlerts({ state }: Model): Alert[] {
    const { healthy, trouble, kind } = state.storage;
    if (healthy && trouble === null) {
        return [];
    }
    return [
        {
            id: 'storage',
            severity: healthy ? 'warning' : 'critical',
            title: healthy ? 'Storage has trouble' : 'Storage is failing',
            detail:
                `${kind}: ${trouble ?? 'no reason was given'}. ` +
                'Registrations and fetches are refused until it recovers; nothing already acknowledged is lost.',
        },
    ];
}

function attackAlerts(model: Model, now: number): Alert[] {
    const { counters } = model.state;
    const recent = (type: string) => {
        const at = model.lastSeen[type];
        return at !== undefined && now - at < recentMs ? ageInWords(Math.max(0, now - at)) : null;
    };
    const alerts: Alert[] = [];
    const drain = recent('depletion_suspected');
    if (drain !== null) {
        alerts.push({
            id: 'depletion',
            severity: 'warning',
            title: 'Someone may be draining one-time keys',
            detail:
                `Last suspected ${drain} ago, ${plural(counters.depletionSuspected, 'time', 'times')} since the ` +
                'start. Fetches over the budget of a target get no one-time key, and the last fifth of the ' +
                'stock goes to identified callers only. The event feed shows the hashed network it comes from.',
        });
    }
    const conflict = recent('identity_conflict');
    if (conflict !== null) {
        alerts.push({
            id: 'conflict',
            severity: 'warning',
            title: 'An address was claimed with another identity key',
            detail:
                `Last refused ${conflict} ago. Either a device was reinstalled without its keys, or someone ` +
                'tries to take the address over. The first key keeps the address.',
        });
    }
    const epoch = recent('restore_epoch');
    if (epoch !== null) {
        alerts.push({
            id: 'restore',
            severity: 'notice',
            title: 'The database was restored from a backup',
            detail:
                `${epoch} ago. All one-time keys were dropped, because some had already been handed out; ` +
                'stock returns as devices upload again.',
        });
    }
    return alerts;
}

function stockAlerts({ state }: Model): Alert[] {
    const { exhausted, belowLowThreshold, lowThreshold, identities } = state.totals;
    const alerts: Alert[] = [];
    if (exhausted > 0) {
        alerts.push({
            id: 'exhausted',
            severity: 'warning',
            title: `${plural(exhausted, 'identity has', 'identities have')} no one-time keys left`,
            detail:
                'Sessions with them can still start, from the signed prekey alone, with weaker forward secrecy ' +
                'for the first message. Their devices upload more when they next come online.',
        });
    }
    const low = belowLowThreshold - exhausted;
    if (low > 0) {
        alerts.push({
            id: 'low',
            severity: 'notice',
            title: `${plural(low, 'identity is', 'identities are')} below ${formatCount(lowThreshold)} one-time keys`,
            detail:
                `${formatPercent(low, identities)} of all identities. Their owners were told and refill when ` +
                'they next come online.',
        });
    }
    return alerts;
}

function trafficAlerts({ state }: Model): Alert[] {
    const { history } = state;
    const fetches = sumOver(history, 'fetches', trafficMs);
    const withheld = sumOver(history, 'withheld', trafficMs);
    const limited = sumOver(history, 'rateLimited', trafficMs);
    const alerts: Alert[] = [];
    if (withheld >= 10 && withheld > fetches / 5) {
        alerts.push({
            id: 'withheld',
            severity: 'warning',
            title: `${formatPercent(withheld, fetches)} of fetches got no one-time key by policy`,
            detail:
                'In the last 5 minutes. Many fetches of few targets look like a drain, or like a client that ' +
                'fetches again instead of keeping its session.',
        });
    }
    if (limited >= 20) {
        alerts.push({
            id: 'limited',
            severity: 'notice',
            title: `${formatCount(limited)} requests were rate limited`,
            detail:
                'In the last 5 minutes. If callers share an address, behind a proxy say, set the trusted ' +
                'proxies so that each is counted by its own.',
        });
    }
    return alerts;
}

function upkeepAlerts({ state }: Model, now: number): Alert[] {
    const { cleanup, keyTransparency, startedAt } = state;
    const alerts: Alert[] = [];
    const due = cleanup.intervalHours * hour * 1.5;
    if (cleanup.staleDays > 0 && due > 0 && now - (cleanup.lastRunAt ?? startedAt) > due) {
        alerts.push({
            id: 'cleanup',
            severity: 'warning',
            title: 'Cleanup of stale identities is overdue',
            detail:
                (cleanup.lastRunAt === null
                    ? 'It has not run since the start'
                    : `It last ran ${ageInWords(now - cleanup.lastRunAt)} ago`) +
                `, and should every ${plural(cleanup.intervalHours, 'hour', 'hours')}. See the server's log.`,
        });
    }
    if (keyTransparency !== null && keyTransparency.trouble !== null) {
        alerts.push({
            id: 'transparency',
            severity: 'warning',
            title: 'Key transparency signs nothing',
            detail:
                `The server reports: ${keyTransparency.trouble}. Bundles go out, but clients cannot verify ` +
                'them against the log.',
        });
    } else if (
        keyTransparency !== null &&
        keyTransparency.treeSize > 0 &&
        keyTransparency.checkpointAt === null
    ) {
        alerts.push({
            id: 'checkpoint',
            severity: 'warning',
            title: 'Key transparency has no checkpoint',
            detail: 'Clients cannot verify their bundles against the log until one is signed.',
        });
    }
    return alerts;
}
