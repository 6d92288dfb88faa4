// What a service adds to the console: one PageDefinition in pages.ts. The shell does the rest: the
// navigation entry, the token prompt, the connection state and the banner.
import type { ComponentType } from 'preact';
import type { RequestFailure } from '../live/http.ts';
import type { ConnectionStatus } from '../live/live_session.ts';
import type { Service } from './places.ts';
import type { Store } from './store.ts';

export interface PageDefinition {
    // The service: also the page in the address (#/prekeys) and its token in sessionStorage.
    readonly id: Service;
    readonly title: string;
    // What the page shows, for the token prompt: "the prekeys observer".
    readonly subject: string;
    // The server setting that holds the token.
    readonly tokenSetting: string;
    // Resolves when the token opens the page's API, rejects with RequestFailure when it does not.
    checkToken(token: string): Promise<void>;
    // Begins following the server. The token has just been checked, or was checked earlier in this tab.
    open(token: string, events: PageEvents): OpenPage;
}

export interface PageEvents {
    // The token no longer opens the API.
    onUnauthorized(): void;
}

export interface OpenPage {
    readonly status: Store<ConnectionStatus>;
    readonly Content: ComponentType;
    retryNow(): void;
    close(): void;
}

export type { ConnectionStatus, RequestFailure };
