// Keeps one page's picture of its server current: loads the state, follows the event stream from
// there, refreshes the state now and then, and after any break starts over with a growing pause.
//
// Every connection begins with a fresh state, so a restarted server (another bootId) is noticed before
// its event ids are compared with those of the last boot. Within one boot the stream resumes after the
// last event received; on the first connection, and after a restart, it goes back `replayEvents`
// events, so that a feed is not empty when it is opened.
//
// Events arrive in batches: a burst of a thousand fetches costs one update of the page, not a thousand.
import { backoffMs } from './backoff.ts';
import { RequestFailure } from './http.ts';
import type { SseEvent } from './sse_parser.ts';
import type { StreamHandlers } from './event_stream.ts';

export interface ServerState {
    readonly bootId: string;
    readonly lastEventId: number;
}

export type ConnectionPhase = 'connecting' | 'live' | 'waiting' | 'stopped';

export interface ConnectionStatus {
    readonly phase: ConnectionPhase;
    // When anything last arrived from the server; null before the first answer. Local clock.
    readonly lastContactAt: number | null;
    // When the state shown was last loaded in full.
    readonly stateAt: number | null;
    // In phase "waiting": when the next attempt starts, and why the last one ended.
    readonly nextAttemptAt: number | null;
    readonly trouble: RequestFailure | null;
}

export interface LiveSessionOptions<S extends ServerState> {
    loadState(signal: AbortSignal): Promise<S>;
    followEvents(lastEventId: string, handlers: StreamHandlers, signal: AbortSignal): Promise<void>;
    onState(state: S, change: { restarted: boolean }): void;
    onEvents(events: readonly SseEvent[]): void;
    onStatus(status: ConnectionStatus): void;
    onUnauthorized(): void;
    // Types of events that come all the time: they do not mean that much is going on.
    routineEvents?: readonly string[];
    now?: () => number;
    random?: () => number;
}

// While nothing happens; and while events come, which change totals that only the state carries.
export const refreshEveryMs = 15_000;
export const refreshBusyMs = 5_000;
const busyForMs = 10_000;
export const refreshSpacingMs = 3_000;
const replayEvents = 300;
const batchMs = 120;
// A connection that lived this long proves the server well: the next pause starts small again.
const stableMs = 10_000;

export class LiveSession<S extends ServerState> {
    private readonly options: LiveSessionOptions<S>;
    private readonly now: () => number;
    private readonly random: () => number;
    private readonly stopping = new AbortController();
    private connection: AbortController | null = null;
    private status: ConnectionStatus = {
        phase: 'connecting',
        lastContactAt: null,
        stateAt: null,
        nextAttemptAt: null,
        trouble: null,
    };
    private bootId: string | null = null;
    private cursor: string | null = null;
    // Where the events of this boot began for us, while none has come: the cursor lies somewhere before
    // it, and what a reset says is missing there is not missed.
    private firstEventId: number | null = null;
    private attempt = 0;
    private batch: SseEvent[] = [];
    private batchTimer: ReturnType<typeof setTimeout> | undefined;
    private refreshTimer: ReturnType<typeof setTimeout> | undefined;
    private refreshAt = Number.POSITIVE_INFINITY;
    private loading = false;
    private wake: (() => void) | null = null;
    private lastEventAt = Number.NEGATIVE_INFINITY;

    constructor(options: LiveSessionOptions<S>) {
        this.options = options;
        this.now = options.now ?? Date.now;
        this.random = options.random ?? Math.random;
    }

    start(): void {
        void this.run();
    }

    stop(): void {
        if (this.stopping.signal.aborted) {
            return;
        }
        this.stopping.abort();
        this.connection?.abort();
        clearTimeout(this.batchTimer);
        clearTimeout(this.refreshTimer);
        this.wake?.();
        this.setStatus({ phase: 'stopped', nextAttemptAt: null });
    }

    // Ends the pause before the next attempt, if there is one.
    retryNow(): void {
        this.wake?.();
    }

    // Asks for a fresh state soon: at once when the last one is old, else when the spacing allows.
    refreshSoon(delayMs = 0): void {
        if (this.status.phase !== 'live') {
            return;
        }
        const earliest = (this.status.stateAt ?? 0) + refreshSpacingMs;
        this.scheduleRefresh(Math.max(this.now() + delayMs, earliest));
    }

    private async run(): Promise<void> {
        while (!this.stopping.signal.aborted) {
            const connection = new AbortController();
            this.connection = connection;
            let openedAt: number | null = null;
            let trouble: RequestFailure | null = null;
            let followed: string | null = null;
            try {
                await this.load(connection.signal);
                followed = this.bootId;
                await this.options.followEvents(
                    this.cursor ?? '',
                    {
                        onOpen: () => {
                            openedAt = this.now();
                            this.setStatus({ phase: 'live', nextAttemptAt: null, trouble: null });
                            this.scheduleRefresh(this.now() + refreshEveryMs);
                        },
                        onEvent: (event) => this.take(event),
                        onActivity: () => this.setStatus({ lastContactAt: this.now() }),
                    },
                    connection.signal,
                );
            } catch (error) {
                trouble = connection.signal.aborted ? null : asFailure(error);
            }
            connection.abort();
            if (openedAt !== null && followed === this.bootId && this.firstEventId !== null) {
                this.cursor = String(this.firstEventId);
                this.firstEventId = null;
            }
            clearTimeout(this.refreshTimer);
            this.refreshAt = Number.POSITIVE_INFINITY;
            if (this.stopping.signal.aborted) {
                return;
            }
            if (trouble?.kind === 'unauthorized') {
                this.stop();
                this.options.onUnauthorized();
                return;
            }
            if (openedAt !== null && this.now() - openedAt >= stableMs) {
                this.attempt = 0;
            }
            await this.pause(trouble);
        }
    }

    private async load(signal: AbortSignal): Promise<void> {
        this.loading = true;
        try {
            const state = await this.options.loadState(signal);
            const restarted = this.bootId !== null && this.bootId !== state.bootId;
            if (this.bootId !== state.bootId) {
                this.bootId = state.bootId;
                this.cursor = String(Math.max(0, state.lastEventId - replayEvents));
                this.firstEventId = state.lastEventId;
                this.batch = [];
            }
            const at = this.now();
            this.setStatus({ lastContactAt: at, stateAt: at });
            this.options.onState(state, { restarted });
            if (restarted && this.status.phase === 'live') {
                // The stream still open belongs to the old boot, or to another node behind a balancer.
                this.connection?.abort();
            }
        } finally {
            this.loading = false;
        }
    }

    private take(event: SseEvent): void {
        if (!this.options.routineEvents?.includes(event.type)) {
            this.lastEventAt = this.now();
            if (event.id !== '') {
                this.cursor = event.id;
            }
            const isFirst = this.firstEventId !== null;
            this.firstEventId = null;
            if (isFirst && event.type === 'reset') {
                return;
            }
        }
        this.batch.push(event);
        if (this.batchTimer === undefined) {
            this.batchTimer = setTimeout(() => {
                this.batchTimer = undefined;
                const batch = this.batch;
                this.batch = [];
                if (batch.length > 0) {
                    this.options.onEvents(batch);
                }
            }, batchMs);
        }
    }

    private scheduleRefresh(at: number): void {
        if (at >= this.refreshAt) {
            return;
        }
        this.refreshAt = at;
        clearTimeout(this.refreshTimer);
        this.refreshTimer = setTimeout(() => void this.refresh(), Math.max(0, at - this.now()));
    }

    private async refresh(): Promise<void> {
        this.refreshAt = Number.POSITIVE_INFINITY;
        const connection = this.connection;
        if (connection === null || connection.signal.aborted || this.loading) {
            return;
        }
        try {
            await this.load(connection.signal);
            this.setStatus({ trouble: null });
        } catch (error) {
            const failure = asFailure(error);
            if (connection.signal.aborted) {
                return;
            }
            if (failure.kind === 'unauthorized') {
                this.stop();
                this.options.onUnauthorized();
                return;
            }
            this.setStatus({ trouble: failure });
        }
        const isBusy = this.now() - this.lastEventAt < busyForMs;
        this.scheduleRefresh(this.now() + (isBusy ? refreshBusyMs : refreshEveryMs));
    }

    private async pause(trouble: RequestFailure | null): Promise<void> {
        const waitMs = trouble?.retryAfterMs ?? backoffMs(this.attempt, this.random);
        this.attempt += 1;
        this.setStatus({ phase: 'waiting', nextAttemptAt: this.now() + waitMs, trouble });
        await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, waitMs);
            this.wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
        this.wake = null;
        if (!this.stopping.signal.aborted) {
            this.setStatus({ phase: 'connecting', nextAttemptAt: null });
        }
    }

    private setStatus(change: Partial<ConnectionStatus>): void {
        this.status = { ...this.status, ...change };
        this.options.onStatus(this.status);
    }
}

function asFailure(error: unknown): RequestFailure {
    if (error instanceof RequestFailure) {
        return error;
    }
    const detail = error instanceof Error ? error.message : String(error);
    return new RequestFailure('refused', detail);
}
