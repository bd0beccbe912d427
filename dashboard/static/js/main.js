import { followStructure } from "./refresh.js";
import { serverNow } from "./feed.js";
import { localise } from "./format.js";
import "./link.js";
import "./fleet.js";
import "./job.js";
import "./order.js";

localise(document, serverNow());
followStructure(document.body.dataset.page);
