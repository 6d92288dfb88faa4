// First on an observer's page: is anything wrong, and what is this server.
import { useEffect, useRef } from 'preact/hooks';
import { announce } from '../console/announcer.tsx';
import type { StorageState } from '../live/wire.ts';
import type { Alert, Severity } from './alerts.ts';
import { formatDuration, formatFullTime, plural } from './format.ts';
import { IconCheck, IconCritical, IconNotice, IconWarning } from './icons.tsx';

export interface ServerFacts {
    readonly version: string;
    readonly commit: string;
    readonly startedAt: number;
    readonly storage: StorageState;
}

const icons: Record<Severity, typeof IconCheck> = {
    critical: IconCritical,
    warning: IconWarning,
    notice: IconNotice,
};

const severityNames: Record<Severity, string> = {
    critical: 'Critical',
    warning: 'Warning',
    notice: 'Notice',
};

export function HealthSection(props: {
    title: string;
    // Worst first.
    alerts: readonly Alert[];
    server: ServerFacts;
    // Titles of the sections below; their ids are the same in lower case.
    places: readonly string[];
    // Server clock.
    now: number;
}) {
    const { alerts } = props;
    const urgent = alerts.filter((alert) => alert.severity !== 'notice').length;
    const level = alerts[0]?.severity ?? 'good';
    useAlertAnnouncements(alerts);
    return (
        <section class="health" id="health" aria-labelledby="page-title" data-level={level}>
            <div class="health-head">
                <h1 id="page-title">{props.title}</h1>
                <p class="health-verdict" data-testid="verdict">
                    {level === 'good' && <IconCheck />}
                    {verdict(urgent, alerts.length)}
                </p>
                <ServerLine server={props.server} now={props.now} />
                <PlacesOnPage places={props.places} />
            </div>
            {alerts.length > 0 && (
                <ul class="alerts">
                    {alerts.map((alert) => (
                        <AlertRow key={alert.id} alert={alert} />
                    ))}
                </ul>
            )}
        </section>
    );
}

function PlacesOnPage({ places }: { places: readonly string[] }) {
    return (
        <nav class="places" aria-label="On this page">
            <ul>
                {places.map((place) => (
                    <li key={place}>
                        <a href={`#${place.toLowerCase()}`}>{place}</a>
                    </li>
                ))}
            </ul>
        </nav>
    );
}

function verdict(urgent: number, all: number): string {
    if (urgent > 0) {
        return `${plural(urgent, 'thing needs', 'things need')} attention`;
    }
    return all > 0 ? 'In order, with a remark' : 'Everything is in order';
}

function AlertRow({ alert }: { alert: Alert }) {
    const Icon = icons[alert.severity];
    return (
        <li class="alert" data-severity={alert.severity} data-testid={`alert-${alert.id}`}>
            <Icon />
            <div>
                <p class="alert-title">
                    <span class="visually-hidden">{severityNames[alert.severity]}: </span>
                    {alert.title}
                </p>
                <p class="alert-detail">{alert.detail}</p>
            </div>
        </li>
    );
}

function ServerLine({ server, now }: { server: ServerFacts; now: number }) {
    const { version, commit, startedAt, storage } = server;
    const kinds: Record<string, string> = { sqlite: 'SQLite', postgres: 'PostgreSQL' };
    return (
        <ul class="server-line">
            <li title={commit === '' ? undefined : `commit ${commit}`} data-testid="version">
                Version {version}
                {commit !== '' && <code> {commit.slice(0, 7)}</code>}
            </li>
            <li title={`Started ${formatFullTime(startedAt)}`} data-testid="uptime">
                Up {formatDuration(now - startedAt)}
            </li>
            <li data-testid="storage" data-healthy={storage.healthy}>
                {kinds[storage.kind] ?? storage.kind} {storage.healthy ? 'healthy' : 'failing'}
            </li>
        </ul>
    );
}

// Only alerts that were not there before are said, and none on the first look: the page itself says
// those.
function useAlertAnnouncements(alerts: readonly Alert[]): void {
    const known = useRef<ReadonlySet<string> | null>(null);
    const ids = alerts.map((alert) => alert.id).join(' ');
    useEffect(() => {
        const before = known.current;
        known.current = new Set(alerts.map((alert) => alert.id));
        if (before === null) {
            return;
        }
        const fresh = alerts.filter((alert) => !before.has(alert.id));
        if (fresh.length > 0) {
            announce(fresh.map((alert) => alert.title).join('. '));
        }
    }, [ids]);
}
