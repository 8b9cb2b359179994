"""World ``shop``: questions on prices that an agent answers with two tools, by laws its prompt and its tools can state.

A question needs three to six turns: a search for each product, a calculation, the answer.  What the model does follows
from the texts in the request alone: the system prompt, the description of each tool, the conversation, and the bytes of
the pictures that came with it.  ``search`` and ``calculator`` are the tools as plain functions; ``questions`` draws
questions with their right answers; ``PROMPT``, ``SEARCH`` and ``CALCULATOR`` are texts to start from.
"""

from __future__ import annotations

from afnio.models.lm_server.worlds.shop.catalogue import CATALOGUE as CATALOGUE
from afnio.models.lm_server.worlds.shop.catalogue import Product as Product
from afnio.models.lm_server.worlds.shop.catalogue import calculator as calculator
from afnio.models.lm_server.worlds.shop.catalogue import search as search
from afnio.models.lm_server.worlds.shop.laws import LAWS as LAWS
from afnio.models.lm_server.worlds.shop.laws import WRONG as WRONG
from afnio.models.lm_server.worlds.shop.laws import Law as Law
from afnio.models.lm_server.worlds.shop.picture import code_in as code_in
from afnio.models.lm_server.worlds.shop.picture import picture_of as picture_of
from afnio.models.lm_server.worlds.shop.questions import CALCULATOR as CALCULATOR
from afnio.models.lm_server.worlds.shop.questions import PROMPT as PROMPT
from afnio.models.lm_server.worlds.shop.questions import SEARCH as SEARCH
from afnio.models.lm_server.worlds.shop.questions import Question as Question
from afnio.models.lm_server.worlds.shop.questions import questions as questions
from afnio.models.lm_server.worlds.shop.world import Shop as Shop
