/** Data that the app stores, sends and receives. For the server's side see docs/phone-protocol.md. */

type Lang = "ru" | "en";
type ReceiptKind = "delivered" | "read" | "acknowledged";
type DeliveryState = "queued" | "sent" | ReceiptKind | "failed" | "expired";

/** When something happened here, and since when the server has the receipt. */
interface OwnReceipt {
    at: string;
    by?: string;
    stored_at?: string;
    /** The server refused it: it does not know the message, or cannot read the receipt. */
    refused?: "unknown" | "invalid";
}

/** A message as the server sends it. */
interface SentMessage {
    id: string;
    title: string;
    body: string;
    topic: string | null;
    topic_name: string | null;
    acs: string;
    priority: "low" | "normal" | "high" | "critical";
    data: any;
    require_ack: boolean;
    accepted_at: string;
    expires_at: string;
    state: DeliveryState;
}

/** A message as stored here. */
interface Message extends SentMessage {
    /** It came by push: the posting system's data still have to be fetched. */
    partial?: boolean;
    /** Its text is truncated, too. */
    head?: boolean;
    /** It had expired before it came here: it never counts as unread or open. */
    old?: boolean;
    receipts: Partial<Record<ReceiptKind, OwnReceipt>>;
}

/** A receipt that the server does not have yet. */
interface QueuedReceipt {
    message_id: string;
    kind: ReceiptKind;
    at: string;
    by?: string;
}

interface Employee {
    personnel_no: string;
    full_name: string;
    client: string;
}

/** This phone's pairing. */
interface Device {
    token: string;
    id: string;
    name: string;
    platform: string;
    employee: Employee;
}

/** The server's view of this phone. */
interface OwnDevice {
    id: string;
    name: string;
    platform: string;
    paired_at: string;
    employee: Employee;
    channel: { kind: string; endpoint: string | null; quarantined: boolean; notifications: boolean | null };
    webpush: { key: string } | null;
}

/** One of the person's phones. */
interface PersonsDevice {
    id: string;
    name: string;
    platform: string;
    channel: string;
    paired_at: string;
    seen_at: string | null;
    this: boolean;
}

/** Changes applied together or not at all. */
interface Changes {
    get(store: string, key: IDBValidKey): Promise<any>;
    all(store: string): Promise<any[]>;
    entries(store: string, most?: number): Promise<[IDBValidKey, any][]>;
    put(store: string, value: any, key?: IDBValidKey): void;
    remove(store: string, key: IDBValidKey): void;
    clear(store: string): void;
}

/** The parts of a service worker's global scope that we use. */
interface WorkerScope {
    registration: ServiceWorkerRegistration;
    location: Location;
    clients: {
        claim(): Promise<void>;
        matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<WindowClient[]>;
        openWindow(url: string): Promise<WindowClient | null>;
    };
    skipWaiting(): Promise<void>;
    addEventListener(name: string, f: (event: any) => void): void;
}

type PushData = { json(): any } | null;

interface WindowClient {
    url: string;
    visibilityState: string;
    focus(): Promise<WindowClient>;
    postMessage(message: any, ports?: MessagePort[]): void;
}

interface ServiceWorkerRegistration {
    readonly sync?: { register(tag: string): Promise<void> };
}

interface Navigator {
    readonly standalone?: boolean;
}

interface Window {
    loadAgain(before?: () => void): boolean;
    readonly trustedTypes?: { createPolicy(name: string, rules: any): any };
}

/** A view of the app. */
interface View {
    title: string;
    node: HTMLElement;
    /** The message that it shows. */
    id?: string;
    /** Gets the focus first; otherwise the heading does. */
    first?: HTMLElement;
    /** Called when the view is on the screen. */
    shown?(): void;
    /** Called when another view replaces it. */
    end?(): void;
}
