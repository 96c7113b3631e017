/** The WebSocket: decodes messages, confirms the frames that were drawn, and connects again after a loss. */

const TYPES = { f4: Float32Array, u1: Uint8Array };

/**
 * A message is 4 bytes N, N bytes of JSON, then the arrays that the JSON refers to.
 *
 * @param {ArrayBuffer} buffer
 * @returns {object} the JSON, with typed arrays that know their `shape`
 */
function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)), (_, value) => {
    if (!value?.dtype) return value;
    const { dtype, shape, offset } = value;
    const size = shape.reduce((product, side) => product * side, 1);
    return Object.assign(new TYPES[dtype](buffer, 4 + length + offset, size), { shape });
  });
}

/**
 * @param {{onMessage: (message: object) => void, onFrame: (frame: object) => void,
 *   onState: (isConnected: boolean) => void}} handlers onFrame is called in an animation frame
 * @returns {{send: (message: object | Uint8Array) => void}} send drops messages while there is no connection
 */
export function connect({ onMessage, onFrame, onState }) {
  let socket;
  let wait = 500;
  let waiting = null; // the newest frame that is not drawn yet

  const send = (message) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  };

  const draw = () => {
    const frame = waiting;
    waiting = null;
    try {
      onFrame(frame);
    } finally {
      send({ type: "seen" });
    }
  };

  const open = () => {
    socket = new WebSocket(new URL("ws", window.location.href.split("#")[0].replace(/^http/, "ws")));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wait = 500;
      onState(true);
    };
    socket.onmessage = ({ data }) => {
      const message = decode(data);
      if (message.type !== "frame") {
        onMessage(message);
        return;
      }
      const isFirst = waiting === null;
      waiting = message;
      if (isFirst) requestAnimationFrame(draw);
    };
    socket.onclose = () => {
      onState(false);
      setTimeout(open, wait);
      wait = Math.min(wait * 1.5, 5000);
    };
  };

  open();
  return { send };
}
