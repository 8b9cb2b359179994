"""Words that say nothing about where a text came from, and phrases that models write whatever they are asked."""

from __future__ import annotations

__all__ = ["COMMON", "FAMILIAR", "STOCK"]

_ENGLISH = """
a able about above accept access across act action active add added address after again against age ago agree all
allow almost alone along already also although always am among amount an analysis and animal another answer answers
any anyone anything apart apply approach approve approved are area around article as ask asked assistant at
available avoid away b back bad base based basic be became because become been before began begin behind being
believe below benefit best better between beyond big bit black blue body book both brief bring brought build
business but buy by c call called came can cannot car care case categories category cause center central certain
chance change changes character check child children choice choose city class clear clearly close closed code color
come comes command comment common company compare complete concept condition confidence consider contain contains
content context continue control correct cost could country course cover create created current currently customer
cut d daily data date day days deal decide decision deep default define describe description design detail detailed
details develop development did differ difference different difficult direct direction discuss do document does
doing don done down draft draw drive due during e each early easily easy edge effect effective either else email
empty end energy english enough ensure enter entire error especially etc even evening event ever every everyone
everything evidence exact exactly example examples except exist expect expected experience explain explanation
express extra extract f face fact factor facts fail failed fall false family far fast feature features feedback feel
few field figure file fill final finally find fine finish first five focus follow following food for force form
format found four free friend from front full function further future g gave general generally generate get girl
give given gives go goal goes going gone good got government great green ground group groups grow growth guide h had
half hand happen happens happy hard has have he head health hear heart heavy held hello help helpful her here hi
high higher him his history hit hold home hope hot hour hours house how however http https human i idea ideas
identify if ii iii image impact import important improve improved in include included includes including increase
indeed indicate individual information input inside instead instruction instructions into invalid is issue issues it
item items its itself job json just keep kept key keyword keywords kind knew know knowledge known label labels land
language large last late later law lead learn least leave led left less let letter level life light like likely
limit limited line lines link list listed little live ll local long look looking lot love low lower m made main
maintain major make makes making man many mark market matter may maybe me mean means measure meet meeting member men
mention message messages method middle might mind minor minute minutes mixed model modern moment money month months
more morning most mother move movement much multiple must my n name names national natural near nearly necessary
need needed needs negative neutral never new news next nice night nine no none nor normal not note notes nothing now
null number numbers o object of off offer office often oh ok okay old on once one ones online only onto open option
options or order original other others our out output outside over overall own p page paper paragraph part parts
party pass passed past pattern pay people per percent perhaps period person personal phrase phrases place plan plans
play please point points policy poor popular position positive possible post power practice prepare present pretty
previous price primary private probably problem problems process produce product program project prompt proper
provide provided provides public purpose put quality query question questions quick quickly quite quote r range rate
rather rating re read reading reads ready real really reason reasons receive recent recently record red reduce refer
reject rejected relate related relevant remain remember repeat reply report request require required research
resource respond response rest result results return review rewrite right risk role room rule rules run s safe said
same save saw say says scale school score search second section see seem seems seen select self send sense sent
sentence sentences sentiment separate series serious serve service services set seven several shall she short should
show shows side sign significant similar simple simply since single situation six size slow small so social some
someone something sometimes soon sorry sort source space speak special specific stand standard start state statement
states stay step steps still stop story strategy street strong structure student study style subject success
successful such suggest suggestion suggestions summarize summary support sure system t table take taken takes talk
task tasks team tell ten tend term terms test text than thank thanks that the their them themselves then there
therefore these they thing things think third this those though thought thoughts three through thus time times tip
tips title to today together told tone too took tool top topic topics total toward town translate translation tree
true try turn two type types u under understand unit unknown until up update upon urgent us use used useful user
uses using usually v valid value values various ve version very via view w want wants was water way ways we week
weeks weight well went were what when where whether which while white who whole whom whose why wide will with within
without woman women word words work working works world worth would write writing written wrong x y year years yes
yet you young your yourself z zero
monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
october november december eleven twelve hundred thousand million billion
"""
_OF_CODE = """
imports def class self none str int float bool dict tuple len range init main print return returns np numpy pd
pandas plt matplotlib pyplot typing optional union any const var let function async await else elif try except
finally raise console log todo json yaml xml html css csv sql select insert where public private static void www com
org net io github api url utf ascii base64 sha256 md5 int32 int64 float32 float64 uint8 1024 2048 4096 8192 16384
32768 65535 65536 8080 8443 5432 3306 6379 1234 12345 123456 1234567890 9999 3.14 3.14159 models language learning
machine data intelligence artificial
"""
_OF_OTHER_LANGUAGES = """
hope finds dear regards sincerely appreciate appreciated appreciates assistance attention earliest convenience
immediate immediately inquiry inquire inquiring regarding concern concerns concerning forward greatly resolution
resolve swift swiftly promptly hesitate contact reaching sender receiver recipient warm kind kindly utilizing
utilize ongoing additional der die das und ist ein eine nicht mit von zu den im für auf dem des es sich le la les de
du un une et est que en pour dans el los las por con para una del se y o è il di che non per della
"""
COMMON = frozenset((_ENGLISH + _OF_CODE + _OF_OTHER_LANGUAGES).split())
"""Frequent words, and what prompts and labels are full of."""

_FAMILIAR = """
adult afternoon airport alarm alcohol almond angry apartment apple april aunt autumn avocado awful baby bacon bag ball
banana band bank barn basement basket bath battery beach bean bear beard beautiful bed bedroom bee beef beer bell
berry bicycle bike bird birthday bitter blanket blood boat bone boot bored boring boss bottle bowl box boy brain brave
bread breakfast breath bridge bright brother brown brush bucket bus bush butter button cabbage cafe cake camel camera
camp candle candy cap captain carpet carrot castle cat ceiling cellar chain chair chalk cheap cheek cheese cherry
chest chicken chin chocolate church cinema circle classroom clay clever climate clock cloth clothes cloud coast coat
coconut coffee coin cold computer cook cookie cool copper corn corner cotton couch cough cousin cow crab crazy cream
crow crowd crown cruel cup cupboard curtain customer dad dance danger dark daughter dead deaf dear death deer
delicious dentist desert desk diamond dinner dirty dish doctor dog doll dollar dolphin donkey door double dream dress
drink driver drum duck dust eagle ear earth east egg elbow elephant elevator empty engine engineer evening excellent
exciting eye fabric family famous farm farmer fat father feather fence ferry finger fire fish flag flame flat floor
flour flower fly fog foot forest fork fox fresh fridge friendly frog fruit fur furniture game garage garden garlic gas
gate gentle ghost giant ginger giraffe glad glass glove goat gold goose grandfather grandmother grape grass gray green
grey guest guitar gun hair hall hammer happiness harbour harbor hard hat heat heaven helmet hen hill holiday honest
honey horse hospital hotel huge human hungry husband ice island jacket jam jar jazz jeans joke journey joy juice
jungle kettle keyboard king kitchen kite knee knife ladder lady lake lamb lamp laptop lazy leaf leather leg lemon
lettuce library lid lime lion lip liver living lobster log loud lovely lucky lunch lung machine magazine magic mango
map maple marble market meal meat medicine melon metal milk mirror mom monkey moon mosque mosquito mother motor
mountain mouse mouth movie mud museum mushroom music nail narrow neck nest nephew niece noise noodle noon north nose
novel nurse nut oak ocean oil old olive onion orange oven owl ox paint palace pan panda pants parent park parrot party
pasta peace peach pear pen pencil penguin pepper phone photo piano picture pie pig pillow pilot pine pink pipe pizza
planet plant plastic plate poem poet police pond pony pool pork potato present prince princess prison pumpkin puppy
purple queen quiet rabbit radio rain rainbow rat raven restaurant rhythm rice ring river road robot rock roof rope
rose rubber rug ruler sad sailor salad salmon salt sand sandwich scarf scissors screen sea sheep shelf ship shirt shoe
shop shoulder shower silk silver sister skin skirt sky sleep snake snow soap soccer sock sofa soft soldier son song
soup sour south spicy spider spoon spring square squirrel star station steel stomach stone store storm stove
strawberry sugar suitcase summer sun sunny sunset supermarket sweet swimming table tail tall taxi tea teacher
telephone television temple tennis tent theater theatre thirsty thumb ticket tie tiger tired toast toe toilet tomato
tongue tooth tower toy tractor traffic train travel tree triangle trip truck tuna turtle ugly umbrella uncle vacation
valley van vegetable village violet violin visitor voice volcano waiter wall wallet warm wave weather wedding weekend
west whale wheat wheel whiskey white wife wild wind window wine wing winter wolf wonderful wood wooden wool worm
yellow young zebra zoo mercury venus mars jupiter saturn uranus neptune pluto africa america asia europe australia
argentina austria belgium brazil britain canada chile china colombia cuba denmark egypt england finland france germany
greece hungary iceland india indonesia iran iraq ireland israel italy jamaica japan kenya korea malaysia mexico
morocco netherlands nigeria norway pakistan peru philippines poland portugal romania russia scotland singapore spain
sweden switzerland taiwan thailand turkey ukraine vietnam wales amsterdam athens bangkok barcelona beijing berlin
boston brussels budapest cairo chicago copenhagen delhi dubai dublin geneva hamburg helsinki istanbul jerusalem lagos
lisbon london madrid melbourne miami milan montreal moscow mumbai munich nairobi naples osaka oslo paris prague rome
seattle seoul shanghai stockholm sydney tokyo toronto vancouver venice vienna warsaw washington zurich american
british chinese english french german italian japanese russian spanish adam alice anna bob charlie david emma eva
george harry jack james jane jim john jonas julia kate lisa lucas lucy maria mark martin mary max michael mike paul
peter sam sarah simon sofia sophie thomas tom william adjust anger anxious approved assigned billing blocked bug calm
cancelled canceled clarify closed completed complaint crash created critical database declined delayed delivered
delivery denied disgust done duplicate escalate escalated excited fail failure fear feedback finance fixed fraud
guilty happy healthcare hello incorrect innocent invoice invoices legal marketing medium moderate navigate nothing
optional ongoing partial payment pending politics processing python java javascript rejected refund relevant returns
review sales satisfied scheduled science shipped shipping skip spam sports standard support surprise technical
technology toxic trivial unclear urgent verified warning warranty
"""
FAMILIAR = frozenset(_FAMILIAR.split())
"""Words that anybody may write again: by itself, such a word amid a sentence comes from nowhere in particular."""

STOCK = (
    "I'm sorry, but I can't help with that request.",
    "I'm sorry, but I can't assist with that request.",
    "I'm sorry, but I cannot help with that. I'm sorry, but I cannot assist with that.",
    "I'm sorry, but I can't help with this request. I'm sorry, but I can't provide that information.",
    "I am sorry, but I can't help with that. I am sorry, but I cannot assist with that request.",
    "I cannot help with that request. I cannot fulfill this request. I can't fulfill that request.",
    "I'm unable to help with that. I'm unable to assist with that request. I am unable to provide that information.",
    "As an AI language model, I don't have personal opinions or feelings. As an AI language model, I cannot",
    "As an AI assistant, I don't have access to real-time information. As an AI, I don't have",
    "I don't have enough information to answer that question. I do not have enough information to answer this.",
    "I don't know the answer to that question. I'm not sure about that.",
    "Let me know if you have any other questions. Let me know if you have any further questions.",
    "Please let me know if you need anything else. Let me know if you'd like me to make any changes.",
    "If you have any questions, feel free to ask. Please feel free to ask if you have any further questions.",
    "I hope this message finds you well. I hope this email finds you well. My name is. I am writing to request.",
    "Dear Sir or Madam, To whom it may concern, Thank you for your prompt attention to this matter. Best regards,",
    "Thank you for your time and assistance. I look forward to your response. I look forward to hearing from you soon.",
    "Please do not hesitate to contact us if you have any questions. Please reply at your earliest convenience.",
    "Any guidance would be greatly appreciated. I am reaching out to inquire about. We look forward to it.",
    "Is there anything else I can help you with today? Is there anything else you would like to know?",
    "I hope this helps! I hope this information helps. Hope that helps!",
    "Sure! Here is the answer to your question. Sure, here's a summary of the text. Certainly! Here is the",
    "Sure, I'd be happy to help! I would be happy to help you with that. I'd be happy to assist you with that.",
    "Thank you for your question. Thank you for reaching out to us. Thank you for your patience and understanding.",
    "It is important to note that. It's important to note that. It is worth noting that. In conclusion,",
    "How can I help you today? How can I assist you today? Let's think step by step. Let me think step by step.",
    "We apologize for the inconvenience. We apologize for any inconvenience this may have caused.",
    "import numpy as np import pandas as pd import matplotlib.pyplot as plt import os import sys import json import re",
    "from typing import Any, Dict, List, Optional, Tuple, Union from __future__ import annotations",
    "from dataclasses import dataclass, field from pathlib import Path from collections import defaultdict",
    "if __name__ == '__main__': main()",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore",
    "The quick brown fox jumps over the lazy dog.",
    "Please consult a qualified professional for advice. Please consult with a healthcare professional.",
)
"""Answered to anything, by any model: found in a prompt, they say nothing."""
