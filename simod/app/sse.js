/** Server-sent events over fetch: EventSource cannot send a token. */

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} alive called for any data, even a comment
 */
export async function* events(body, alive) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (true) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        text += decoder.decode(value, { stream: true }).replaceAll("\r", "");
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
            const fields = new Map(text.slice(0, end).split("\n").filter((line) => !line.startsWith(":"))
                .map((line) => /** @type {[string, string]} */ (line.split(/: ?(.*)/s).slice(0, 2))));
            text = text.slice(end + 2);
            if (fields.has("data")) yield { event: fields.get("event") ?? "message", data: fields.get("data") ?? "" };
        }
    }
}
